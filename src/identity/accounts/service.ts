import type { Audit } from '#audit'
import { newId, Problem, type Clock } from '#kernel'
import { audited } from '../audited.ts'
import { BAD_ACCOUNT, LAST_ADMIN, NO_SUCH_ACCOUNT, USER_ID_TAKEN } from '../problems.ts'
import type { Directory } from '../principal.ts'
import type { Actor } from '../schema.ts'
import type { GroupStore } from './group-store.ts'
import { groupVerbs, LOCAL } from './groups.ts'
import type { NamesOfGroups } from './renames.ts'
import {
  createAccountRequest,
  updateAccountRequest,
  type Account,
  type AccountPage,
  type CreateAccountRequest,
  type Group,
  type ListAccountsRequest,
  type UpdateAccountRequest,
} from './schema.ts'
import type { ChangeStore } from './change-store.ts'
import type { AccountStore } from './store.ts'

/** Where an account or a group comes from that was not made by hand, and what it is called there. */
export type Origin = {
  readonly source: string
  readonly externalId?: string | null | undefined
  readonly givenName?: string | null | undefined
  readonly familyName?: string | null | undefined
}

export type Accounts = {
  /** Makes an account, known here at once and on every replica within a second. Refuses a user id that was ever given. */
  create(request: CreateAccountRequest, by: Actor, origin?: Origin): Promise<Account>
  /** By its id or its user id. Throws a Problem where there is none. */
  get(account: string): Promise<Account>
  /** The same; null where there is none. */
  find(account: string): Promise<Account | null>
  /** Accounts in the order of their making. */
  list(request?: ListAccountsRequest): Promise<AccountPage>
  /** An account that is made inactive is refused everywhere: its keys here at once, on every replica within a second. */
  update(account: string, change: UpdateAccountRequest, by: Actor, said?: Omit<Origin, 'source'>): Promise<Account>
  /** Lets another source write this account from now on, or this house alone (`local`). What the one before said of it goes. */
  handOver(account: string, source: string, by: Actor): Promise<Account>
  /** Ends an account for good. Its user id is never given away again, and its keys stay refused. */
  remove(account: string, by: Actor): Promise<void>
  createGroup(name: string, by: Actor, origin?: Origin): Promise<void>
  /** Grants follow the group. Refuses where rules go by the old name or the new one: their words cannot follow. */
  renameGroup(group: string, change: GroupChange, by: Actor): Promise<void>
  /** Who has to be asked before a group is renamed. */
  heedNames(names: NamesOfGroups): void
  listGroups(): Promise<readonly Group[]>
  /** Removes a group with all its memberships. */
  removeGroup(name: string, by: Actor): Promise<void>
  /** Gives and takes memberships of one source; those of others stay. Accounts and groups by their ids. */
  changeMembers(change: MembershipChange, by: Actor): Promise<void>
  addMember(group: string, account: string, by: Actor): Promise<Account>
  removeMember(group: string, account: string, by: Actor): Promise<Account>
}

export type MembershipChange = {
  readonly group: { readonly id: string; readonly name: string }
  readonly source: string
  readonly join: readonly string[]
  readonly leave: readonly string[]
}
export type GroupChange = { readonly name: string; readonly externalId: string | null }

export type AccountsDeps = {
  readonly store: AccountStore
  readonly changes: ChangeStore
  readonly groups: GroupStore
  readonly audit: Pick<Audit, 'record'>
  readonly clock: Clock
  readonly directory: () => Directory
  /** Puts a change that is stored in force on every replica. */
  readonly announce: (id: string) => Promise<void>
}

export function createAccounts(deps: AccountsDeps): Accounts {
  return {
    create: (request, by, origin = { source: LOCAL }) => createAccount(deps, { request, origin }, by),
    get: (name) => getAccount(deps, name),
    find: async (name) => (await deps.store.find(name)) ?? null,
    list: (request = {}) => listAccounts(deps, request),
    update: (name, change, by, said = {}) => updateAccount(deps, { name, change, by, said }),
    handOver: (name, source, by) => handOver(deps, { name, source }, by),
    remove: (name, by) => removeAccount(deps, name, by),
    ...groupVerbs(deps, (name) => getAccount(deps, name)),
  }
}

async function createAccount(
  deps: AccountsDeps,
  wish: { request: CreateAccountRequest; origin: Origin },
  by: Actor,
): Promise<Account> {
  const { request, origin } = wish
  const parsed = createAccountRequest.safeParse(request)
  if (!parsed.success) throw new Problem(BAD_ACCOUNT, parsed.error.issues.map(({ message }) => message).join('; '))
  const { userId, kind, name, email } = parsed.data
  const role = parsed.data.role ?? (kind === 'person' ? 'user' : null)
  if (kind === 'system' && role !== null) throw systemHasNoRole(userId)
  if (await deps.store.isTaken(userId)) throw taken(userId)
  const now = deps.clock.now()
  const id = newId('acc')
  const made: Account = {
    id,
    userId,
    kind,
    role,
    name,
    email,
    groups: [],
    source: origin.source,
    isActive: parsed.data.isActive,
    createdAt: now,
    changedAt: now,
  }
  const extra = { account: id, userId, kind, role, source: origin.source, isActive: made.isActive }
  await audited(deps, { what: 'account.created', by, extra }, async () => {
    // Somebody else may have been given it in this very moment.
    if ((await deps.store.insert(made, origin)) === 'taken') throw taken(userId)
  })
  await deps.announce(id)
  return made
}

function taken(userId: string): Problem {
  return new Problem(USER_ID_TAKEN, `An account has or had the user id "${userId}"; choose another.`)
}

async function getAccount(deps: AccountsDeps, name: string): Promise<Account> {
  const found = await deps.store.find(name)
  if (found) return found
  const what = `There is no account "${name.slice(0, 256)}"; \`account list\` shows those there are.`
  throw new Problem(NO_SUCH_ACCOUNT, what)
}

async function listAccounts(deps: AccountsDeps, request: ListAccountsRequest): Promise<AccountPage> {
  const limit = Math.min(Math.max(request.limit ?? 100, 1), 1_000)
  const found = await deps.store.list({ after: request.cursor, limit: limit + 1 })
  const accounts = found.slice(0, limit)
  return { accounts, next: found.length > limit ? (accounts.at(-1)?.id ?? null) : null }
}

async function updateAccount(
  deps: AccountsDeps,
  request: { name: string; change: UpdateAccountRequest; by: Actor; said: Omit<Origin, 'source'> },
): Promise<Account> {
  const parsed = updateAccountRequest.safeParse(request.change)
  if (!parsed.success) throw new Problem(BAD_ACCOUNT, parsed.error.issues.map(({ message }) => message).join('; '))
  const before = await getAccount(deps, request.name)
  const { id, userId, kind } = before
  const { role = before.role, name = before.name, email = before.email, isActive = before.isActive } = parsed.data
  if (kind === 'system' && role !== null) throw systemHasNoRole(userId)
  if (before.role === 'admin' && before.isActive && !(role === 'admin' && isActive)) refuseLastAdmin(deps, before)
  const after: Account = { ...before, role, name, email, isActive, changedAt: deps.clock.now() }
  const extra = { account: id, userId, role, isActive }
  const change = { ...parsed.data, changedAt: after.changedAt }
  await audited(deps, { ...eventOf(before, after), by: request.by, extra }, async () => {
    if ((await deps.changes.update(id, change, request.said)) === 'last-admin') throw lastAdmin(userId)
  })
  await deps.announce(id)
  return after
}

async function handOver(deps: AccountsDeps, wish: { name: string; source: string }, by: Actor): Promise<Account> {
  const { source } = wish
  const before = await getAccount(deps, wish.name)
  if (before.kind === 'system') throw new Problem(BAD_ACCOUNT, 'A system account belongs to this house alone.')
  if (before.source === source) return before
  const { id, userId } = before
  const extra = { account: id, userId, from: before.source, to: source }
  await audited(deps, { what: 'account.handed-over', by, extra }, async () => {
    await deps.changes.update(id, { source, changedAt: deps.clock.now() }, { externalId: null })
    if (before.source !== LOCAL) await deps.groups.leaveAll(id, before.source)
  })
  await deps.announce(id)
  return getAccount(deps, id)
}

function eventOf(before: Account, after: Account): { what: string } {
  if (before.isActive === after.isActive) return { what: 'account.changed' }
  return after.isActive ? { what: 'account.activated' } : { what: 'account.deactivated' }
}

function systemHasNoRole(userId: string): Problem {
  return new Problem(BAD_ACCOUNT, `"${userId}" is a system account, which has no role; policy alone authorizes it.`)
}

async function removeAccount(deps: AccountsDeps, name: string, by: Actor): Promise<void> {
  const account = await getAccount(deps, name)
  const { id, userId } = account
  if (account.role === 'admin' && account.isActive) refuseLastAdmin(deps, account)
  await audited(deps, { what: 'account.removed', by, extra: { account: id, userId } }, async () => {
    if ((await deps.changes.remove(id, deps.clock.now())) === 'last-admin') throw lastAdmin(userId)
  })
  await deps.announce(id)
}

function refuseLastAdmin({ directory }: AccountsDeps, { id, userId }: Account): void {
  const isOther = directory()
    .all()
    .some((member) => member.role === 'admin' && member.isActive && member.accountId !== id)
  if (!isOther) throw lastAdmin(userId)
}

function lastAdmin(userId: string): Problem {
  return new Problem(LAST_ADMIN, `"${userId}" is the last active admin; make another one first.`)
}
