import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import * as z from 'zod'
import { parseDuration } from '#config'
import { UsageError } from '../failure.ts'
import { withHouse, type Api } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { dataCommand, gather, type DataOptions, type Verb } from '../verb.ts'
import { printEither, printJson } from '../words/print.ts'
import { list, plain, table } from '../words/table.ts'
import { relative } from '../words/times.ts'

const GRANTS = [
  'authorization_code',
  'refresh_token',
  'device_code',
  'client_credentials',
  'token_exchange',
  'jwt_bearer',
] as const

export function addClient(program: Command, { terminal }: Verb): void {
  const client = program.command('client').description('OAuth clients: programs that people let act for them')
  dataCommand(client, 'create')
    .description('register a client; its secret is shown once')
    .requiredOption('--name <name>', 'what people read when they are asked to allow it')
    .option('--redirect <uri>', 'where answers go, to the letter; may be given several times', gather)
    .option('--post-logout-redirect <uri>', 'where a browser may be sent after signing out', gather)
    .option('--back-channel-logout <uri>', 'where it is told that somebody signed out')
    .option('--grant <type>', `what it gets tokens with: ${GRANTS.join(', ')}; without it the first two`, gather)
    .option('--account <user>', 'the system account that it acts as by itself, with --grant client_credentials')
    .option('--keys <file>', 'its public keys (a JSON Web Key Set) in place of a secret')
    .option('--exchange <from:to>', 'a token for one gateway it may exchange for one for another', gather)
    .option('--id-jag <issuer>', 'an authorization server elsewhere that may take our word for its users')
    .option('--id-jag-client <id>', 'the id that the client has there')
    .option('--id-jag-resource <uri>', 'a server there that it may be for', gather)
    .option('--public', 'an app on people’s own computers, which cannot keep a secret')
    .action((options: CreateOptions) => createClient(terminal, options))
  dataCommand(client, 'list')
    .description('all clients, whoever registered them')
    .action((options: DataOptions) => listClients(terminal, options))
  dataCommand(client, 'show <id>')
    .description('one client')
    .action((id: string, options: DataOptions) => showClient(terminal, id, options))
  dataCommand(client, 'rotate <id>')
    .description('give a client a new secret, shown once')
    .option('--overlap <time>', 'so long the old secret is taken beside it: 24h, or 0s if it is in wrong hands', '24h')
    .action((id: string, options: RotateOptions) => rotateSecret(terminal, id, options))
  dataCommand(client, 'remove <id>')
    .description('end a client for good, with all that people let it do')
    .action((id: string, options: DataOptions) => removeClient(terminal, id, options))
}

type CreateOptions = DataOptions & {
  name: string
  redirect?: string[]
  postLogoutRedirect?: string[]
  backChannelLogout?: string
  grant?: string[]
  account?: string
  keys?: string
  exchange?: string[]
  idJag?: string
  idJagClient?: string
  idJagResource?: string[]
  public?: true
}
type RotateOptions = DataOptions & { overlap: string }
type Shown = Awaited<ReturnType<Api['showClient']>>

async function createClient(terminal: Terminal, options: CreateOptions): Promise<void> {
  const { name, redirect, postLogoutRedirect, backChannelLogout, grant, json } = options
  const body = {
    name,
    isPublic: options.public ?? false,
    ...(redirect === undefined ? {} : { redirectUris: redirect }),
    ...(postLogoutRedirect === undefined ? {} : { postLogoutRedirectUris: postLogoutRedirect }),
    ...(backChannelLogout === undefined ? {} : { backchannelLogoutUri: backChannelLogout }),
    ...(grant === undefined ? {} : { grants: grant.map(toGrant) }),
    ...(options.account === undefined ? {} : { account: options.account }),
    ...(options.keys === undefined ? {} : { jwks: await readKeys(terminal, options.keys) }),
    ...rightsOf(options),
  }
  await withHouse(terminal, options, async ({ api }) => {
    const made = await api.createClient({ body })
    if (json) return printJson(terminal, made)
    tellSecret(terminal, made)
  })
}

function tellSecret(terminal: Terminal, { id, secret }: { id: string; secret: string | null }): void {
  terminal.out(`client_id      ${id}\n`)
  if (secret !== null) terminal.out(`client_secret  ${secret}\n`)
  if (secret !== null) terminal.err('The secret is shown once.\n')
}

async function rotateSecret(terminal: Terminal, id: string, options: RotateOptions): Promise<void> {
  const overlap = parseDuration(options.overlap)
  if (overlap === undefined)
    throw new UsageError(`--overlap ${JSON.stringify(options.overlap)}: write a duration such as 24h, or 0s.`)
  await withHouse(terminal, options, async ({ api }) => {
    const body = { overlapSeconds: Math.floor(overlap / 1_000) }
    const rotated = await api.rotateClientSecret({ params: { client: id }, body })
    if (options.json) return printJson(terminal, rotated)
    tellSecret(terminal, rotated)
    const { earlierSecretsEnd: end } = rotated
    const told = end === null ? 'is refused from now on' : `is taken until ${new Date(end).toISOString()}`
    terminal.err(`The old one ${told}.\n`)
  })
}

async function readKeys(terminal: Terminal, file: string) {
  const text = await readFile(resolve(terminal.cwd, file), 'utf8').catch(() => {
    throw new UsageError(`--keys ${JSON.stringify(file)}: the file cannot be read.`)
  })
  const parsed = keySet.safeParse(jsonOf(text))
  if (parsed.success) return parsed.data
  throw new UsageError(`--keys ${JSON.stringify(file)}: it must be a JSON Web Key Set: {"keys": [ … ]}.`)
}

const keySet = z.object({ keys: z.array(z.record(z.string(), z.json())) })

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function rightsOf({ exchange, idJag, idJagClient, idJagResource }: CreateOptions) {
  const named = [idJag, idJagClient, idJagResource].filter((each) => each !== undefined)
  if (named.length > 0 && (idJag === undefined || idJagClient === undefined || idJagResource === undefined))
    throw new UsageError('--id-jag, --id-jag-client and --id-jag-resource belong together: give all three.')
  const place = { audience: idJag ?? '', clientId: idJagClient ?? '', resources: idJagResource ?? [] }
  return {
    ...(exchange === undefined ? {} : { exchange: exchange.map(toWay) }),
    ...(named.length === 0 ? {} : { idJag: [place] }),
  }
}

function toWay(text: string): { from: string; to: string } {
  const [from = '', to = '', ...more] = text.split(':')
  if (from !== '' && to !== '' && more.length === 0) return { from, to }
  throw new UsageError(`--exchange ${JSON.stringify(text)}: write the slugs of two gateways, such as desk:files.`)
}

function toGrant(name: string): (typeof GRANTS)[number] {
  const grant = GRANTS.find((known) => known === name)
  if (grant === undefined) throw new UsageError(`--grant ${JSON.stringify(name)}: write one of ${GRANTS.join(', ')}.`)
  return grant
}

async function listClients(terminal: Terminal, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const clients = await allClients(api)
    const now = terminal.now()
    const rows = clients.map(({ id, origin, name, grants, createdAt, lastUsedAt }) => [
      id,
      origin,
      relative(createdAt, now),
      relative(lastUsedAt, now),
      grants.join(','),
      name,
    ])
    const text = table(['id', 'origin', 'made', 'used', 'grants', 'name'], rows, terminal.columns)
    printEither(terminal, options, { json: { clients }, text: rows.length > 0 ? text : 'No clients yet.\n' })
  })
}

const MAX_PAGES = 100

async function allClients(api: Api): Promise<Shown[]> {
  const clients: Shown[] = []
  let cursor: string | undefined
  for (let page = 0; page < MAX_PAGES; page++) {
    const { clients: more, next } = await api.listClients({ query: { limit: 1_000, cursor } })
    clients.push(...more)
    if (next === null) break
    cursor = next
  }
  return clients
}

async function showClient(terminal: Terminal, id: string, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const client = await api.showClient({ params: { client: id } })
    printEither(terminal, options, { json: client, text: describe(client, terminal.now()) })
  })
}

function describe(client: Shown, now: number): string {
  const { id, name, origin, authMethod, grants, redirectUris, postLogoutRedirectUris, createdAt, lastUsedAt } = client
  const { earlierSecretsEnd: end } = client
  return list([
    ['id', id],
    ['name', name],
    ['origin', origin],
    ['proves itself', authMethod === 'none' ? 'not at all (public)' : authMethod],
    ...(end === null ? [] : [['old secret', `taken until ${new Date(end).toISOString()}`] as const]),
    ...(client.account === null ? [] : [['acts as', client.account] as const]),
    ['grants', grants.join(', ')],
    ...redirectUris.map((uri) => ['redirect', uri] as const),
    ...client.exchange.map(({ from, to }) => ['exchanges', `tokens for ${from} into ones for ${to}`] as const),
    ...client.idJag.map(
      ({ audience, resources }) => ['is vouched for', `at ${audience}, for ${resources.join(', ')}`] as const,
    ),
    ...postLogoutRedirectUris.map((uri) => ['after signing out', uri] as const),
    ...(client.backchannelLogoutUri === null ? [] : [['told of it at', client.backchannelLogoutUri] as const]),
    ['made', relative(createdAt, now)],
    ['used', relative(lastUsedAt, now)],
  ])
}

async function removeClient(terminal: Terminal, id: string, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    await api.removeClient({ params: { client: id } })
    const text = `${plain(id)} is removed, and all that people let it do has ended.\n`
    printEither(terminal, options, { json: { removed: id }, text })
  })
}
