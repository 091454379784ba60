import { Option, type Command } from 'commander'
import { withHouse } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { dataCommand, houseCommand, type DataOptions, type HouseOptions, type Verb } from '../verb.ts'
import { printEither } from '../words/print.ts'
import { plain } from '../words/table.ts'
import { relative } from '../words/times.ts'

export function addChanges(program: Command, { terminal }: Verb): void {
  const changes = dataCommand(program, 'changes')
    .description('what servers changed in their tools')
    .option('--held', 'only those that wait for an admin')
    .option('--server <name>', 'only those of this server')
    .addOption(new Option('--limit <n>', 'at most so many').default('100'))
    .action((options: ListOptions) => listChanges(terminal, options))
  houseCommand(changes, 'accept <id>')
    .description('let a held change take effect')
    .action((id: string, options: HouseOptions) => decide(terminal, { id, verdict: 'accept' }, options))
  houseCommand(changes, 'reject <id>')
    .description('keep a held change out for good')
    .action((id: string, options: HouseOptions) => decide(terminal, { id, verdict: 'reject' }, options))
}

type ListOptions = DataOptions & { held?: true; server?: string; limit: string }

async function listChanges(terminal: Terminal, options: ListOptions): Promise<void> {
  const { server, limit } = options
  await withHouse(terminal, options, async ({ api }) => {
    const query = { limit, server, ...(options.held ? { state: 'held' as const } : {}) }
    const { changes } = await api.listChanges({ query })
    const entries = changes.map(({ id, server: from, tool, kind, state, diff, at }) => {
      const head = `${id}  ${from}/${plain(tool)}  ${kind}, ${state}  ${relative(at, terminal.now())}\n`
      return head + diff.map((line) => `    ${plain(line)}\n`).join('')
    })
    const text = entries.length > 0 ? entries.join('') : 'No changes.\n'
    printEither(terminal, options, { json: { changes }, text })
  })
}

async function decide(
  terminal: Terminal,
  { id, verdict }: { id: string; verdict: 'accept' | 'reject' },
  options: HouseOptions,
): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    if (verdict === 'accept') await api.acceptChange({ params: { id } })
    else await api.rejectChange({ params: { id } })
    terminal.out(`${id} is ${verdict}ed.\n`)
  })
}
