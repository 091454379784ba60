import { Option, type Command } from 'commander'
import { Failure } from '../failure.ts'
import { configOf, dataDirOf, runningUrl } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { dataCommand, type DataOptions, type Verb } from '../verb.ts'
import { CLIENTS, snippetFor, type ClientName } from '../words/snippets.ts'
import { printEither } from '../words/print.ts'

export function addConnect(program: Command, { terminal }: Verb): void {
  dataCommand(program, 'connect')
    .description('how to connect a client')
    .addOption(new Option('--client <name>', 'which client; without it, all').choices(CLIENTS))
    .option('--gateway <slug>', 'which gateway; without it, the first')
    .option('--key <key>', 'an API key of that gateway, put in place of the placeholder')
    .action((options: ConnectOptions) => connect(terminal, options))
}

type ConnectOptions = DataOptions & { client?: ClientName; gateway?: string; key?: string }

async function connect(terminal: Terminal, options: ConnectOptions): Promise<void> {
  const { config } = configOf(terminal, options)
  const { listen, public_url: publicUrl } = config.server
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host
  const running = await runningUrl(dataDirOf(terminal, options))
  const base = (publicUrl ?? running ?? `http://${host}:${listen.port}`).replace(/\/$/, '')
  const slug = options.gateway ?? config.gateways[0]?.slug
  if (slug === undefined) throw new Failure('Say which gateway: --gateway SLUG.', './gatehouse gateway list shows all.')
  const target = { url: `${base}/mcp/${slug}`, key: options.key ?? 'YOUR_KEY' }
  const clients = options.client === undefined ? CLIENTS : [options.client]
  const snippets = clients.map((client) => ({ client, ...snippetFor(client, target) }))
  const text = snippets.map(({ title, text: body }) => `${title}\n${body}\n`).join('\n')
  printEither(terminal, options, { json: { url: target.url, snippets }, text })
  if (options.key === undefined && !options.json)
    terminal.err(`Make a key: ./gatehouse key create --gateway ${slug} --user YOU\n`)
}
