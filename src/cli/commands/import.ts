import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { describeFailure, unreadable } from '../failure.ts'
import { readClientConfig, type Importable, type Left } from '../import/client-config.ts'
import { withHouse, type Api } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { dataCommand, gather, type DataOptions, type Verb } from '../verb.ts'
import { printEither } from '../words/print.ts'
import { describeServer } from '../words/server.ts'
import { plain, table } from '../words/table.ts'

export function addImport(server: Command, { terminal, finish }: Verb): void {
  dataCommand(server, 'import <file>')
    .description(
      'add the servers of an MCP client: its mcp.json, claude_desktop_config.json, .claude.json, config.toml',
    )
    .option('--only <name>', 'only this server of the file; may be given several times', gather)
    .option('--allow <address>', 'a host or CIDR that may be dialled although it is private', gather)
    .option('--dry-run', 'say what would be added, and add nothing')
    .action(async (file: string, options: ImportOptions) => {
      if ((await importServers(terminal, file, options)) === 'some failed') finish(1)
    })
}

type ImportOptions = DataOptions & { only?: string[]; allow?: string[]; dryRun?: true }
type Report = {
  readonly label: string
  readonly name: string
  readonly done: 'added' | 'failed' | 'would add'
  readonly detail: string
}

async function importServers(
  terminal: Terminal,
  file: string,
  options: ImportOptions,
): Promise<'all well' | 'some failed'> {
  const text = await readFile(resolve(terminal.cwd, file), 'utf8').catch(unreadable(file))
  const { taken, left } = readClientConfig(text, { file, env: terminal.env })
  const wanted = taken.filter(({ label }) => options.only?.includes(label) ?? true)
  if (options.dryRun) {
    print(terminal, options, { reports: wanted.map(wouldAdd), left })
    return 'all well'
  }
  return withHouse(terminal, options, async ({ api, url }) => {
    // One that leads back here would call itself without end.
    const isOurs = ({ server }: Importable): boolean =>
      url !== null && server.transport === 'http' && server.url.startsWith(`${url}/mcp/`)
    const ours = wanted.filter(isOurs).map(({ label }): Left => ({ label, why: 'it is this house itself' }))
    const others = wanted.filter((one) => !isOurs(one))
    const reports = await Promise.all(
      others.map((one) => addOne(api, one, { allow: options.allow, now: terminal.now() })),
    )
    print(terminal, options, { reports, left: [...left, ...ours] })
    return reports.some(({ done }) => done === 'failed') ? 'some failed' : 'all well'
  })
}

function wouldAdd({ label, server }: Importable): Report {
  // Only what is no secret: neither arguments, headers nor an address with its query.
  const detail = server.transport === 'stdio' ? (server.command[0] ?? '') : server.url.replace(/[?#].*$/, '')
  return { label, name: server.name, done: 'would add', detail: detail.replace(/\/\/[^/@]*@/, '//…@') }
}

async function addOne(
  api: Api,
  { label, server }: Importable,
  { allow, now }: { allow: string[] | undefined; now: number },
): Promise<Report> {
  const { name } = server
  try {
    const added = await api.addServer({
      body: { ...server, ...(allow === undefined ? {} : { allow_addresses: allow }) },
    })
    return { label, name, done: 'added', detail: describeServer(added, now).trim() }
  } catch (error) {
    return { label, name, done: 'failed', detail: describeFailure(error).text.trim() }
  }
}

function print(
  terminal: Terminal,
  options: ImportOptions,
  { reports, left }: { reports: Report[]; left: Left[] },
): void {
  const rows = [
    ...reports.map(({ label, done, detail }) => [label, done, detail]),
    ...left.map(({ label, why }) => [label, 'left out', why]),
  ]
  const text = rows.length > 0 ? table(['in the file', 'here', ''], rows) : 'The file has no servers.\n'
  printEither(terminal, options, { json: { servers: reports, leftOut: left }, text })
  const [first] = reports.filter(({ done }) => done === 'added')
  if (first !== undefined && !options.json)
    terminal.err(`Show them at a gateway: gatehouse gateway add SLUG --tools '${plain(first.name)}/*'\n`)
}
