import type { Command } from 'commander'
import { withHouse, type Api } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { dataCommand, type DataOptions, type Verb } from '../verb.ts'
import { printEither } from '../words/print.ts'
import { table } from '../words/table.ts'

export function addSigningKey(program: Command, { terminal }: Verb): void {
  const key = program.command('signing-key').description('the keys that sign tokens')
  dataCommand(key, 'list')
    .description('all keys, those that sign now first')
    .action((options: DataOptions) => listKeys(terminal, options))
  dataCommand(key, 'rotate')
    .description('make new keys; they sign in ten minutes, and the old ones count until their tokens end')
    .option('--now', 'sign with the new keys at once; who keeps the key set in a cache may not know them yet')
    .option('--drop-old', 'a key is in wrong hands: remove all others now, and with them every token that they signed')
    .action((options: RotateOptions) => rotate(terminal, options))
}

type RotateOptions = DataOptions & { now?: boolean; dropOld?: boolean }
type Shown = Awaited<ReturnType<Api['listSigningKeys']>>['keys']

async function listKeys(terminal: Terminal, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const { keys } = await api.listSigningKeys()
    printEither(terminal, options, { json: { keys }, text: describe(keys, terminal.columns) })
  })
}

async function rotate(terminal: Terminal, options: RotateOptions): Promise<void> {
  const { now = false, dropOld = false } = options
  await withHouse(terminal, options, async ({ api }) => {
    const { keys } = await api.rotateSigningKeys({ body: { now, dropOld } })
    printEither(terminal, options, { json: { keys }, text: describe(keys, terminal.columns) })
  })
}

function describe(keys: Shown, columns: number | undefined): string {
  const rows = keys.map(({ kid, alg, state, signsAt, goneAt }) => [
    kid,
    alg,
    state,
    new Date(signsAt).toISOString(),
    goneAt === null ? '' : new Date(goneAt).toISOString(),
  ])
  return table(['key', 'algorithm', 'state', 'signs from', 'gone at'], rows, columns)
}
