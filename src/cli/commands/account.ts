import type { Command } from 'commander'
import type { Role } from '#identity'
import { UsageError } from '../failure.ts'
import { withHouse, type Api } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { dataCommand, type DataOptions, type Verb } from '../verb.ts'
import { printEither } from '../words/print.ts'
import { plain, table } from '../words/table.ts'

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
    const rows = accounts.map(({ userId, kind, role, groups, isActive, name }) => [
      userId,
      role ?? kind,
      isActive ? 'active' : 'inactive',
      groups.join(','),
      name ?? '',
    ])
    const text = table(['user', 'role', 'state', 'groups', 'name'], rows, terminal.columns)
    printEither(terminal, options, { json: { accounts }, text: rows.length > 0 ? text : 'No accounts yet.\n' })
  })
}

async function removeAccount(terminal: Terminal, user: string, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    await api.removeAccount({ params: { account: user } })
    printEither(terminal, options, { json: { removed: user }, text: `${plain(user)} is removed.\n` })
  })
}
