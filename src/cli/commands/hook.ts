import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { parse as parseToml } from 'smol-toml'
import { hookConfig, type HookConfig } from '#policy'
import { UsageError } from '../failure.ts'
import { withHouse, type Api } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { dataCommand, type DataOptions, type Verb } from '../verb.ts'
import { faultsIn } from '../words/faults.ts'
import { printEither } from '../words/print.ts'
import { table } from '../words/table.ts'

export function addHook(program: Command, { terminal, finish }: Verb): void {
  const hook = program.command('hook').description('services of yours that are asked about calls')
  dataCommand(hook, 'add')
    .description('add a hook, or put it in the place of the one with its name')
    .requiredOption('--file <file>', 'one hook as JSON or TOML, with the keys of [[hooks]]; "-": from stdin')
    .action((options: AddOptions) => add(terminal, options))
  dataCommand(hook, 'list')
    .description('all hooks, in the order in which they are asked')
    .action((options: DataOptions) => listHooks(terminal, options))
  dataCommand(hook, 'check [name]')
    .description('ask hooks how they are. Fails where one is not healthy')
    .action(async (name: string | undefined, options: DataOptions) =>
      finish((await check(terminal, name, options)) ? 0 : 1),
    )
  dataCommand(hook, 'remove <name>')
    .description('take a hook away')
    .action((name: string, options: DataOptions) => remove(terminal, name, options))
}

type AddOptions = DataOptions & { file: string }

async function add(terminal: Terminal, options: AddOptions): Promise<void> {
  const body = await readHook(terminal, options.file)
  await withHouse(terminal, options, async ({ api }) => {
    const added = await api.addHook({ body })
    printEither(terminal, options, { json: added, text: `Hook ${added.name} is asked from now on.\n` })
  })
}

async function readHook(terminal: Terminal, file: string): Promise<HookConfig> {
  const text = file === '-' ? await terminal.readInput() : await readFile(resolve(terminal.cwd, file), 'utf8')
  const parsed = hookConfig.safeParse(
    text.trimStart().startsWith('{') ? parseJson(text, file) : hookIn(parseToml(text)),
  )
  if (parsed.success) return parsed.data
  throw new UsageError(`${file} is no hook:\n${faultsIn(parsed.error)}`)
}

/** A file may hold the hook itself, or a single `[[hooks]]` to be moved into gatehouse.toml later. */
function hookIn(toml: object): unknown {
  const hooks: unknown = 'hooks' in toml ? toml.hooks : undefined
  return Array.isArray(hooks) && hooks.length === 1 ? hooks[0] : toml
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new UsageError(`${file} is not JSON.`)
  }
}

type Shown = Awaited<ReturnType<Api['listHooks']>>['hooks']

function describe(hooks: Shown, columns: number | undefined): string {
  if (hooks.length === 0) return 'No hooks yet.\n'
  const rows = hooks.map(({ name, points, phase, priority, failure, origin, state, reason }) => {
    return [
      name,
      points.join(' '),
      `${phase} ${priority}`,
      failure,
      origin,
      reason === '' ? state : `${state}: ${reason}`,
    ]
  })
  return table(['hook', 'points', 'order', 'on failure', 'from', 'state'], rows, columns)
}

async function listHooks(terminal: Terminal, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const { hooks } = await api.listHooks()
    printEither(terminal, options, { json: { hooks }, text: describe(hooks, terminal.columns) })
  })
}

async function check(terminal: Terminal, name: string | undefined, options: DataOptions): Promise<boolean> {
  return withHouse(terminal, options, async ({ api }) => {
    const { hooks } = await api.checkHooks({ body: name === undefined ? {} : { name } })
    printEither(terminal, options, { json: { hooks }, text: describe(hooks, terminal.columns) })
    return hooks.every(({ state }) => state === 'healthy')
  })
}

async function remove(terminal: Terminal, name: string, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    await api.removeHook({ params: { name } })
    printEither(terminal, options, { json: { removed: name }, text: `Hook ${name} is asked no more.\n` })
  })
}
