import type { Command } from 'commander'
import { withHouse } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { dataCommand, type DataOptions, type Verb } from '../verb.ts'
import { printEither } from '../words/print.ts'
import { plain, table } from '../words/table.ts'
import { nextTry } from '../words/times.ts'

export function addTools(program: Command, { terminal }: Verb): void {
  dataCommand(program, 'tools')
    .description('the tools that a user sees at a gateway')
    .requiredOption('--gateway <slug>', 'which gateway')
    .option('--user <user>', 'as whom')
    .action((options: ToolsOptions) => listTools(terminal, options))
}

type ToolsOptions = DataOptions & { gateway: string; user?: string }

async function listTools(terminal: Terminal, options: ToolsOptions): Promise<void> {
  const { gateway: slug, user } = options
  await withHouse(terminal, options, async ({ api }) => {
    const shown = await api.listGatewayTools({ params: { slug }, query: { user } })
    const rows = shown.tools.map(({ name, server, original, description, title }) => [
      name,
      original === name ? server : `${server}/${original}`,
      description ?? title ?? '',
    ])
    const text = table(['name', 'server', 'description'], rows, terminal.columns)
    printEither(terminal, options, { json: shown, text: rows.length > 0 ? text : 'No tools.\n' })
    if (options.json) return
    for (const { server, state, reason, retryAt } of shown.missing) {
      const again = nextTry(retryAt, terminal.now())
      terminal.err(`${server} is ${state}: ${plain(reason)}${again}\n`)
    }
  })
}
