import { Option, type Command } from 'commander'
import { Failure } from '../failure.ts'
import { configOf, dataDirOf, reach, runningHouse } from '../reach.ts'
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
  const place = (await placeOfRunning(terminal, options)) ?? placeOfConfig(terminal, options)
  const slug = options.gateway ?? place.slug
  if (slug === undefined) throw new Failure('Say which gateway: --gateway SLUG.', './gatehouse gateway list shows all.')
  const target = { url: `${place.base.replace(/\/$/, '')}/mcp/${slug}`, key: options.key ?? 'YOUR_KEY' }
  const clients = options.client === undefined ? CLIENTS : [options.client]
  const snippets = clients.map((client) => ({ client, ...snippetFor(client, target) }))
  const text = snippets.map(({ title, text: body }) => `${title}\n${body}\n`).join('\n')
  printEither(terminal, options, { json: { url: target.url, snippets }, text })
  if (options.key === undefined && !options.json)
    terminal.err(`Make a key: ./gatehouse key create --gateway ${slug} --user YOU\n`)
}

/** Where clients connect, and the gateway that is meant where none is named. */
type Place = { readonly base: string; readonly slug: string | undefined }

/** A house that runs knows best; nothing of its configuration, or of the environment it needs, has to be here. */
async function placeOfRunning(terminal: Terminal, options: ConnectOptions): Promise<Place | null> {
  const running = await runningHouse(dataDirOf(terminal, options))
  if (running === null) return null
  await using reached = await reach(terminal, options)
  const { gateways } = await reached.api.listGateways()
  return { base: running.publicUrl, slug: gateways[0]?.slug }
}

function placeOfConfig(terminal: Terminal, options: ConnectOptions): Place {
  const { server, gateways } = configOf(terminal, options).config
  const { host, port } = server.listen
  const listening = `http://${host.includes(':') ? `[${host}]` : host}:${port}`
  return { base: server.public_url ?? listening, slug: gateways[0]?.slug }
}
