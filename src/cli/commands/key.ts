import type { Command } from 'commander'
import { expiresSoon, type ApiKey } from '#identity'
import { UsageError } from '../failure.ts'
import { withHouse, type Api } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { dataCommand, gather, type DataOptions, type Verb } from '../verb.ts'
import { printEither, printJson } from '../words/print.ts'
import { plain, table } from '../words/table.ts'
import { parseExpiry, relative } from '../words/times.ts'

export function addKey(program: Command, { terminal }: Verb): void {
  const key = program.command('key').description('API keys: who may call which gateway')
  dataCommand(key, 'create')
    .description('make a key; it is shown once')
    .option('--user <user>', 'the only user the key may be used for; without it, its holder names the user')
    .option('--gateway <slug>', 'where it may be used, or "*"; may be given several times', gather)
    .option('--name <name>', 'what it is for')
    .option('--expires <time>', 'when it ends: 30d, 12h or a date')
    .option('--scim', 'for an identity provider: it opens /scim/v2 and nothing else')
    .option('--admin', 'it may also use the admin API')
    .action((options: CreateOptions) => createKey(terminal, options))
  dataCommand(key, 'list')
    .description('all keys')
    .option('--user <user>', 'only those of this user')
    .action((options: DataOptions & { user?: string }) => listKeys(terminal, options))
  dataCommand(key, 'revoke [id]')
    .description('end a key, or all keys of a user, for good; what they opened ends at once')
    .option('--user <user>', 'all keys that are bound to this user')
    .action((id: string | undefined, options: RevokeOptions) => revokeKeys(terminal, id, options))
}

type CreateOptions = DataOptions & {
  user?: string
  gateway?: string[]
  name?: string
  expires?: string
  admin?: true
  scim?: true
}

async function createKey(terminal: Terminal, options: CreateOptions): Promise<void> {
  const body = keyRequest(options, terminal.now())
  await withHouse(terminal, options, async ({ api }) => {
    await warnOfUnknown(terminal, api, body.gateways)
    const created = await api.createKey({ body })
    if (options.json) return printJson(terminal, created)
    terminal.out(`${created.key}\n`)
    terminal.err(`This is shown once. ${describeKey(created, terminal.now())}\n`)
    await tellWhatItOpens(terminal, api, created)
  })
}

function keyRequest(options: CreateOptions, now: number) {
  const { user, name, expires } = options
  return {
    ...(options.scim ? scimPlace(options) : placeOf(options)),
    ...(user === undefined ? {} : { userId: user }),
    ...(name === undefined ? {} : { name }),
    ...(expires === undefined ? {} : { expiresAt: parseExpiry(expires, now) }),
  }
}

function scimPlace({ admin, user, gateway }: CreateOptions) {
  if (admin || user !== undefined || gateway !== undefined)
    throw new UsageError('A key for SCIM opens /scim/v2 only: leave out --admin, --user and --gateway.')
  return { gateways: [], role: 'scim' as const }
}

function placeOf({ admin, gateway }: CreateOptions) {
  const gateways = gateway ?? (admin ? ['*'] : [])
  if (gateways.length === 0) throw new UsageError('Say where the key may be used: --gateway SLUG, or --gateway "*".')
  return { gateways, role: admin ? ('admin' as const) : ('user' as const) }
}

async function warnOfUnknown(terminal: Terminal, api: Api, wanted: readonly string[]): Promise<void> {
  const { gateways } = await api.listGateways()
  const known = new Set(['*', ...gateways.map(({ slug }) => slug)])
  for (const slug of wanted)
    if (!known.has(slug)) terminal.err(`There is no gateway "${slug}" yet; the key is made anyway.\n`)
}

/** A key for the admin API opens all of it, or what rules permit: that is to be known where it is made. */
async function tellWhatItOpens(terminal: Terminal, api: Api, { role, userId }: ApiKey): Promise<void> {
  if (role !== 'admin' || userId === null) return
  const { isAdmin } = await api.explainAdmin({ body: { user: userId, module: 'keys' } })
  if (isAdmin) return
  const how = `./gatehouse policy explain --user '${userId}' --admin MODULE`
  terminal.err(`${userId} is no admin: at the admin API it opens what rules permit. ${how} says what that is.\n`)
}

function describeKey(key: ApiKey, now: number): string {
  const end = key.expiresAt === null ? 'does not expire' : `ends ${relative(key.expiresAt, now)}`
  if (key.role === 'scim') return `${key.id}: for SCIM, ${end}.`
  const whom = key.userId === null ? 'for any user its holder names' : `for ${key.userId}`
  const where = key.gateways.includes('*') ? 'every gateway' : key.gateways.join(', ')
  return `${key.id}: ${whom}, at ${where}, ${end}${key.role === 'admin' ? ', admin' : ''}.`
}

async function listKeys(terminal: Terminal, options: DataOptions & { user?: string }): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const keys = await allKeys(api, options.user)
    const now = terminal.now()
    const rows = keys.map((key) => [
      key.id,
      key.userId ?? '(any)',
      key.gateways.join(','),
      key.role,
      stateOf(key, now),
      relative(key.lastUsedAt, now),
      key.name ?? '',
    ])
    const text = table(['id', 'user', 'gateways', 'role', 'state', 'used', 'name'], rows, terminal.columns)
    printEither(terminal, options, { json: { keys }, text: keys.length > 0 ? text : 'No keys yet.\n' })
  })
}

const MAX_PAGES = 100

export async function allKeys(api: Api, user?: string): Promise<ApiKey[]> {
  const keys: ApiKey[] = []
  let cursor: string | undefined
  for (let page = 0; page < MAX_PAGES; page++) {
    const { keys: more, next } = await api.listKeys({ query: { limit: 1_000, userId: user, cursor } })
    keys.push(...more)
    if (next === null) break
    cursor = next
  }
  return keys
}

function stateOf(key: ApiKey, now: number): string {
  if (key.revokedAt !== null) return `revoked ${relative(key.revokedAt, now)}`
  if (key.expiresAt === null) return 'valid'
  if (key.expiresAt <= now) return `expired ${relative(key.expiresAt, now)}`
  return `ends ${relative(key.expiresAt, now)}${expiresSoon(key, now) ? ' (soon)' : ''}`
}

type RevokeOptions = DataOptions & { user?: string }

async function revokeKeys(terminal: Terminal, id: string | undefined, options: RevokeOptions): Promise<void> {
  const { user } = options
  if ((id === undefined) === (user === undefined))
    throw new UsageError('Say which key: its id, or --user USER for all of a user.')
  await withHouse(terminal, options, async ({ api }) => {
    if (id !== undefined) {
      const revoked = await api.revokeKey({ params: { id } })
      return printEither(terminal, options, { json: revoked, text: `${revoked.id} is revoked.\n` })
    }
    const live = (await allKeys(api, user)).filter(({ revokedAt }) => revokedAt === null)
    const revoked = await Promise.all(live.map((key) => api.revokeKey({ params: { id: key.id } })))
    const text = revoked.map((key) => `${key.id} is revoked.\n`).join('')
    printEither(terminal, options, {
      json: { keys: revoked },
      text: text || `No key of ${plain(user ?? '')} is left.\n`,
    })
  })
}
