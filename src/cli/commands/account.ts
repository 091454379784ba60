import type { Command } from 'commander'
import { expiresSoon, type Role } from '#identity'
import { UsageError } from '../failure.ts'
import { configOf, dataDirOf, runningHouse, withHouse, type Api } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { dataCommand, gather, type DataOptions, type Verb } from '../verb.ts'
import { printEither } from '../words/print.ts'
import { plain, table } from '../words/table.ts'
import { parseExpiry, relative } from '../words/times.ts'
import { allKeys } from './key.ts'

type Account = Awaited<ReturnType<Api['showAccount']>>

export function addAccount(program: Command, { terminal }: Verb): void {
  const account = program.command('account').description('accounts of people and machines')
  withPerson(dataCommand(account, 'add <user>'))
    .description('make an account')
    .option('--system', 'of a machine: it has no role')
    .action((user: string, options: ChangeOptions) => addOne(terminal, user, options))
  dataCommand(account, 'list')
    .description('all accounts')
    .action((options: DataOptions) => listAccounts(terminal, options))
  dataCommand(account, 'show <user>')
    .description('one account')
    .action((user: string, options: DataOptions) =>
      show(terminal, options, (api) => api.showAccount({ params: { account: user } })),
    )
  withPerson(dataCommand(account, 'update <user>'))
    .description('change an account')
    .action((user: string, options: ChangeOptions) => change(terminal, options, { user, body: changeOf(options) }))
  dataCommand(account, 'deactivate <user>')
    .description('refuse an account everywhere, at once, with all its keys')
    .action((user: string, options: DataOptions) => change(terminal, options, { user, body: { isActive: false } }))
  dataCommand(account, 'activate <user>')
    .description('let it in again')
    .action((user: string, options: DataOptions) => change(terminal, options, { user, body: { isActive: true } }))
  dataCommand(account, 'hand-over <user>')
    .description('let the identity provider of a SCIM key write an account, or this house alone again')
    .requiredOption('--to <source>', 'scim:NAME, after the name of its key, or local')
    .action((user: string, options: DataOptions & { to: string }) =>
      show(terminal, options, (api) =>
        api.handOverAccount({ params: { account: user }, body: { source: options.to } }),
      ),
    )
  dataCommand(account, 'link <user>')
    .description('a one-time link to set up, or reset, how they sign in; it is shown once')
    .action((user: string, options: DataOptions) => makeLink(terminal, user, options))
  dataCommand(account, 'factors <user>')
    .description('what a person signs in with')
    .action((user: string, options: DataOptions) => showFactors(terminal, user, options))
  dataCommand(account, 'reset <user>')
    .description('end everything a person signs in with and their sessions, and make a link for new factors')
    .action((user: string, options: DataOptions) => reset(terminal, user, options))
  dataCommand(account, 'token <user>')
    .description('a key for a system account, shown once; it ends after 365 days')
    .option('--gateway <slug>', 'where it may be used, or "*"; may be given several times', gather)
    .option('--expires <time>', 'when it ends: 30d, 12h or a date', '365d')
    .option('--name <name>', 'what it is for')
    .action((user: string, options: TokenOptions) => makeToken(terminal, user, options))
  dataCommand(account, 'sign-out <user>')
    .description('end all browser sessions of a person')
    .action((user: string, options: DataOptions) => signOut(terminal, user, options))
  dataCommand(account, 'remove <user>')
    .description('end an account for good; its user id is never given again')
    .action((user: string, options: DataOptions) => removeAccount(terminal, user, options))
}

function withPerson(command: Command): Command {
  return command
    .option('--role <role>', 'admin, user or guest')
    .option('--name <name>', 'how people call them')
    .option('--email <address>', 'where they are reached')
}

type ChangeOptions = DataOptions & { role?: string; name?: string; email?: string; system?: true }

async function addOne(terminal: Terminal, userId: string, options: ChangeOptions): Promise<void> {
  const kind = options.system ? ('system' as const) : ('person' as const)
  await show(terminal, options, (api) => api.createAccount({ body: { userId, kind, ...wishesOf(options) } }))
}

function changeOf(options: ChangeOptions): ReturnType<typeof wishesOf> {
  const wishes = wishesOf(options)
  if (Object.keys(wishes).length > 0) return wishes
  throw new UsageError('Say what to change: --role, --name or --email.')
}

function wishesOf({ role, name, email }: ChangeOptions) {
  return {
    ...(role === undefined ? {} : { role: parseRole(role) }),
    ...(name === undefined ? {} : { name }),
    ...(email === undefined ? {} : { email }),
  }
}

function parseRole(role: string): Role {
  if (role === 'admin' || role === 'user' || role === 'guest') return role
  throw new UsageError(`There is no role "${role}"; use admin, user or guest.`)
}

async function change(
  terminal: Terminal,
  options: DataOptions,
  { user, body }: { user: string; body: Parameters<Api['updateAccount']>[0]['body'] },
): Promise<void> {
  await show(terminal, options, (api) => api.updateAccount({ params: { account: user }, body }))
}

async function show(terminal: Terminal, options: DataOptions, act: (api: Api) => Promise<Account>): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const account = await act(api)
    printEither(terminal, options, { json: account, text: `${account.id}: ${describe(account)}\n` })
  })
}

function describe({ userId, kind, role, groups, isActive }: Account): string {
  const belongs = groups.length === 0 ? '' : `, in ${groups.map(plain).join(', ')}`
  return `${plain(userId)}, ${role ?? kind}${belongs}, ${isActive ? 'active' : 'not active'}.`
}

const MAX_PAGES = 100

async function listAccounts(terminal: Terminal, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const accounts: Account[] = []
    let cursor: string | undefined
    for (let page = 0; page < MAX_PAGES; page++) {
      const { accounts: more, next } = await api.listAccounts({ query: { limit: 1_000, cursor } })
      accounts.push(...more)
      if (next === null) break
      cursor = next
    }
    const now = terminal.now()
    const ending = new Set((await allKeys(api)).flatMap((key) => (expiresSoon(key, now) ? (key.userId ?? []) : [])))
    const listed = accounts.map((account) => ({ ...account, expiresSoon: ending.has(account.userId) }))
    const rows = listed.map(({ userId, kind, role, groups, isActive, name, ...account }) => [
      userId,
      role ?? kind,
      `${isActive ? 'active' : 'inactive'}${account.expiresSoon ? ', a key ends soon' : ''}`,
      groups.join(','),
      name ?? '',
    ])
    const text = table(['user', 'role', 'state', 'groups', 'name'], rows, terminal.columns)
    printEither(terminal, options, { json: { accounts: listed }, text: rows.length > 0 ? text : 'No accounts yet.\n' })
  })
}

async function removeAccount(terminal: Terminal, user: string, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    await api.removeAccount({ params: { account: user } })
    printEither(terminal, options, { json: { removed: user }, text: `${plain(user)} is removed.\n` })
  })
}

async function makeLink(terminal: Terminal, user: string, options: DataOptions): Promise<void> {
  const running = await runningHouse(dataDirOf(terminal, options))
  await withHouse(terminal, options, async ({ api }) => {
    const { path, expiresAt, userId } = await api.linkAccount({ params: { account: user } })
    const base = running?.publicUrl ?? configOf(terminal, options).config.server.public_url ?? ''
    const url = `${base}${path}`
    if (options.json) return printEither(terminal, options, { json: { userId, url, expiresAt }, text: '' })
    terminal.out(`${url}\n`)
    terminal.err(
      `This is shown once. For ${plain(userId)}; it works once, and ends ${relative(expiresAt, terminal.now())}.\n`,
    )
  })
}

async function showFactors(terminal: Terminal, user: string, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const found = await api.listFactors({ params: { account: user } })
    const { hasPassword, hasTotp, recoveryCodesLeft, passkeys } = found
    const rows = [
      ...(hasPassword ? [['password', '']] : []),
      ...(hasTotp ? [['authenticator app', '']] : []),
      ...(recoveryCodesLeft > 0 ? [['recovery codes', `${recoveryCodesLeft} left`]] : []),
      ...passkeys.map(({ name, lastUsedAt }) => ['passkey', `${plain(name)}, ${usedAt(lastUsedAt, terminal)}`]),
    ]
    const nothing = `${plain(user)} has nothing to sign in with; \`account link\` makes a link to set it up.\n`
    const text = rows.length > 0 ? table(['factor', 'about'], rows, terminal.columns) : nothing
    printEither(terminal, options, { json: found, text })
  })
}

function usedAt(at: number | null, terminal: Terminal): string {
  return at === null ? 'not used yet' : `used ${relative(at, terminal.now())}`
}

async function reset(terminal: Terminal, user: string, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, ({ api }) => api.resetFactors({ params: { account: user } }))
  await makeLink(terminal, user, options)
}

type TokenOptions = DataOptions & { gateway?: string[]; expires: string; name?: string }

async function makeToken(terminal: Terminal, user: string, options: TokenOptions): Promise<void> {
  const { gateway: gateways = [], expires, name } = options
  if (gateways.length === 0) throw new UsageError('Say where the token may be used: --gateway SLUG, or --gateway "*".')
  await withHouse(terminal, options, async ({ api }) => {
    const { kind, userId } = await api.showAccount({ params: { account: user } })
    if (kind !== 'system')
      throw new UsageError(`"${plain(userId)}" is a person; \`key create --user\` makes a key for one.`)
    const expiresAt = parseExpiry(expires, terminal.now())
    const created = await api.createKey({ body: { userId, gateways, expiresAt, ...(name ? { name } : {}) } })
    if (options.json) return printEither(terminal, options, { json: created, text: '' })
    terminal.out(`${created.key}\n`)
    terminal.err(
      `This is shown once. ${created.id}: for ${plain(userId)}, ends ${relative(expiresAt, terminal.now())}.\n`,
    )
  })
}

async function signOut(terminal: Terminal, user: string, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    await api.endSession({ params: { account: user, session: '*' } })
    printEither(terminal, options, { json: { signedOut: user }, text: `${plain(user)} is signed out everywhere.\n` })
  })
}
