import { isProblem, Problem } from '#kernel'
import type { Accounts } from '../accounts/service.ts'
import { USER_ID_TAKEN } from '../problems.ts'
import { holdVersion } from './etag.ts'
import { parseFilter, USER_FILTERS } from './filter.ts'
import { userFrom } from './parse.ts'
import { patchUser } from './patch.ts'
import { SCIM_BAD_VALUE, SCIM_FIXED, SCIM_NOT_FOUND, SCIM_TAKEN } from './problems.ts'
import { showList, showUser, type Place } from './resource.ts'
import type { ListQuery, UserState } from './schema.ts'
import type { ScimStore, ScimUserRow } from './store.ts'

/** One identity provider that asks: what it may see, and how it stands in the audit trail. */
export type Client = { readonly source: string; readonly keyId: string; readonly place: Place }
export type Parts = { readonly store: ScimStore; readonly accounts: Accounts }

export const MAX_PAGE = 100
/** No identity provider may fill this house. */
const MAX_USERS = 100_000

export async function listUsers({ store }: Parts, client: Client, query: ListQuery) {
  const { source, place } = client
  const filter = query.filter === undefined ? [] : parseFilter(query.filter, USER_FILTERS)
  const { page, startIndex } = pageOf(query)
  const total = await store.countUsers(source, filter)
  const rows = page.limit === 0 ? [] : await store.listUsers(source, filter, page)
  const ids = rows.map(({ id }) => id)
  const memberships = Map.groupBy(await store.memberships(source, 'account_id', ids), ({ accountId }) => accountId)
  return showList({
    total,
    startIndex,
    resources: rows.map((row) => showUser(row, memberships.get(row.id) ?? [], place)),
  })
}

export function pageOf({ startIndex, count }: ListQuery) {
  const from = Math.min(Math.max(startIndex, 1), 1_000_000)
  return { startIndex: from, page: { offset: from - 1, limit: Math.min(Math.max(count, 0), MAX_PAGE) } }
}

export async function showOneUser(parts: Parts, client: Client, id: string) {
  const user = await findUser(parts, client, id)
  return showUser(user, await parts.store.memberships(client.source, 'account_id', [id]), client.place)
}

/** Another's account and a local one are not found, like one that never was. */
async function findUser({ store }: Parts, { source }: Client, id: string): Promise<ScimUserRow> {
  const [user] = await store.listUsers(source, [{ attribute: 'id', value: id }], { offset: 0, limit: 1 })
  if (user) return user
  throw new Problem(SCIM_NOT_FOUND, 'There is no such user among those that this client provisions.')
}

export async function createUser(parts: Parts, client: Client, body: unknown) {
  const { userName, displayName, email, isActive, externalId, givenName, familyName } = userFrom(body)
  const { source } = client
  if ((await parts.store.countUsers(source, [])) >= MAX_USERS)
    throw new Problem(SCIM_BAD_VALUE, `This client provisions ${MAX_USERS} users already.`)
  const request = { userId: userName, kind: 'person', name: displayName, email, isActive } as const
  const said = { source, externalId, givenName, familyName }
  const made = await parts.accounts.create(request, actor(client), said).catch((error: unknown) => {
    throw isProblem(error, USER_ID_TAKEN) ? taken() : error
  })
  return showOneUser(parts, client, made.id)
}

/** Whose it is, is not told: nobody's account is taken over, and user ids are never given out again. */
function taken(): Problem {
  return new Problem(SCIM_TAKEN, 'An account has or had this userName. An administrator of Gatehouse can say whose.')
}

export function actor({ keyId }: Client) {
  return { keyId, face: 'scim' }
}

/** `ifMatch`: the change is for these versions only (RFC 7644 §3.14). */
export type Wish = { readonly id: string; readonly ifMatch: string | null }

export async function replaceUser(parts: Parts, client: Client, wish: Wish & { body: unknown }) {
  const before = await findUser(parts, client, wish.id)
  return saveUser(parts, client, { before, after: userFrom(wish.body, before.isActive), ifMatch: wish.ifMatch })
}

export async function changeUser(parts: Parts, client: Client, wish: Wish & { body: unknown }) {
  const before = await findUser(parts, client, wish.id)
  return saveUser(parts, client, { before, after: patchUser(before, wish.body), ifMatch: wish.ifMatch })
}

type Save = { before: ScimUserRow; after: UserState; ifMatch: string | null }

async function saveUser(parts: Parts, client: Client, { before, after, ifMatch }: Save) {
  if (fold(before.userName) !== fold(after.userName))
    throw new Problem(SCIM_FIXED, 'The userName of an account never changes here; make another account for it.')
  const { displayName, email, isActive, externalId, givenName, familyName } = after
  const said = { externalId, givenName, familyName }
  await holdVersion(parts.store, { kind: 'user', resource: before, ifMatch })
  if (!isSame(before, after))
    await parts.accounts.update(before.id, { name: displayName, email, isActive }, actor(client), said)
  return showOneUser(parts, client, before.id)
}

function fold(userName: string): string {
  return userName.normalize('NFKC').toLowerCase()
}

function isSame(before: ScimUserRow, after: UserState): boolean {
  const kept = ['externalId', 'displayName', 'givenName', 'familyName', 'email', 'isActive'] as const
  return kept.every((name) => before[name] === after[name])
}

export async function removeUser(parts: Parts, client: Client, { id, ifMatch }: Wish): Promise<void> {
  const user = await findUser(parts, client, id)
  await holdVersion(parts.store, { kind: 'user', resource: user, ifMatch })
  await parts.accounts.remove(user.id, actor(client))
}
