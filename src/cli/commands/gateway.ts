import { Option, type Command } from 'commander'
import { withHouse } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { dataCommand, type DataOptions, type Verb } from '../verb.ts'
import { count, printEither } from '../words/print.ts'
import { list, table } from '../words/table.ts'

export function addGateway(program: Command, { terminal }: Verb): void {
  const gateway = program.command('gateway').description('named choices of tools, each at its own URL')
  dataCommand(gateway, 'add <slug>')
    .description('make a gateway, or put another in its place')
    .requiredOption('--tools <patterns...>', "what it shows: 'server/*', 'server/read_*', 'tag:NAME'")
    .option('--title <title>', 'its name for people')
    .option('--description <text>', 'what it is for')
    .option('--instructions <text>', 'what clients tell the model')
    .addOption(
      new Option('--auth <kind>', 'key, oauth (sign-in), both, or none: this machine only').choices([
        'key',
        'oauth',
        'both',
        'none',
      ]),
    )
    .addOption(
      new Option('--access <kind>', 'whom it lets use what it shows: all it admits, or only by grant').choices([
        'all',
        'grants',
      ]),
    )
    .option('--approve <patterns...>', "calls that a person has to approve: 'destructive', 'server/tool'")
    .action((slug: string, options: AddOptions) => save(terminal, slug, options))
  dataCommand(gateway, 'list')
    .description('all gateways')
    .action((options: DataOptions) => listGateways(terminal, options))
  dataCommand(gateway, 'show <slug>')
    .description('one gateway')
    .action((slug: string, options: DataOptions) => show(terminal, slug, options))
  dataCommand(gateway, 'remove <slug>')
    .description('remove a gateway that was made here')
    .action((slug: string, options: DataOptions) => remove(terminal, slug, options))
}

type AddOptions = DataOptions & {
  tools: string[]
  title?: string
  description?: string
  instructions?: string
  auth?: 'key' | 'oauth' | 'both' | 'none'
  access?: 'all' | 'grants'
  approve?: string[]
}

async function save(terminal: Terminal, slug: string, options: AddOptions): Promise<void> {
  const { json: _json, config: _config, data: _data, ...body } = options
  await withHouse(terminal, options, async ({ api, url }) => {
    const saved = await api.saveGateway({ body: { slug, ...body } })
    const where = url === null ? '' : ` at ${url}/mcp/${slug}`
    const text = `Gateway ${slug} shows ${count(saved.toolCount, 'tool')} of ${count(saved.servers.length, 'server')}${where}.\n`
    printEither(terminal, options, { json: saved, text })
  })
}

async function listGateways(terminal: Terminal, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const { gateways } = await api.listGateways()
    const rows = gateways.map(({ slug, auth, toolCount, servers, origin, tools }) => {
      return [slug, auth, `${toolCount}`, servers.join(','), origin, tools.join(' ')]
    })
    const text = table(['slug', 'auth', 'tools', 'servers', 'from', 'patterns'], rows, terminal.columns)
    printEither(terminal, options, { json: { gateways }, text: gateways.length > 0 ? text : 'No gateways yet.\n' })
  })
}

async function show(terminal: Terminal, slug: string, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api, url }) => {
    const gateway = await api.getGateway({ params: { slug } })
    const text = list([
      ['slug', gateway.slug],
      ['title', gateway.title ?? ''],
      ['url', url === null ? '(not running)' : `${url}/mcp/${slug}`],
      ['auth', gateway.auth],
      ['access', gateway.access ?? 'all, until something is granted here'],
      ['approve', gateway.approve.join(' ') || 'nothing'],
      ['from', gateway.origin],
      ['patterns', gateway.tools.join(' ')],
      ['servers', gateway.servers.join(' ')],
      ['tools', `${gateway.toolCount} (./gatehouse tools --gateway ${slug})`],
    ])
    printEither(terminal, options, { json: gateway, text })
  })
}

async function remove(terminal: Terminal, slug: string, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    await api.removeGateway({ params: { slug } })
    printEither(terminal, options, { json: { removed: slug }, text: `Gateway ${slug} is removed.\n` })
  })
}
