import { Problem } from '#kernel'
import { isDuplicate } from '#storage'
import { holdVersion } from './etag.ts'
import { GROUP_FILTERS, parseFilter } from './filter.ts'
import { groupFrom } from './parse.ts'
import { patchGroup } from './patch.ts'
import { SCIM_BAD_VALUE, SCIM_NOT_FOUND, SCIM_TAKEN } from './problems.ts'
import { showGroup, showList } from './resource.ts'
import type { GroupState, ListQuery } from './schema.ts'
import type { ScimGroupRow } from './store.ts'
import { actor, pageOf, type Client, type Parts, type Wish } from './users.ts'

const MAX_GROUP_SIZE = 20_000

export async function listGroups({ store }: Parts, client: Client, query: ListQuery & { withMembers: boolean }) {
  const { source, place } = client
  const filter = query.filter === undefined ? [] : parseFilter(query.filter, GROUP_FILTERS)
  const { page, startIndex } = pageOf(query)
  const total = await store.countGroups(source, filter)
  const rows = page.limit === 0 ? [] : await store.listGroups(source, filter, page)
  const ids = query.withMembers ? rows.map(({ id }) => id) : []
  const memberships = Map.groupBy(await store.memberships(source, 'group_id', ids), ({ groupId }) => groupId)
  return showList({
    total,
    startIndex,
    resources: rows.map((row) => showGroup(row, memberships.get(row.id) ?? [], place)),
  })
}

export async function showOneGroup(parts: Parts, client: Client, id: string) {
  const group = await findGroup(parts, client, id)
  return showGroup(group, await parts.store.memberships(client.source, 'group_id', [id]), client.place)
}

async function findGroup({ store }: Parts, { source }: Client, id: string): Promise<ScimGroupRow> {
  const [group] = await store.listGroups(source, [{ attribute: 'id', value: id }], { offset: 0, limit: 1 })
  if (group) return group
  throw new Problem(SCIM_NOT_FOUND, 'There is no such group among those that this client provisions.')
}

export async function createGroup(parts: Parts, client: Client, body: unknown) {
  const wanted = groupFrom(body)
  const { source } = client
  await requireOwn(parts, client, [...wanted.members])
  await requireFree(parts, wanted.displayName)
  const { displayName, externalId } = wanted
  await orTaken(parts.accounts.createGroup(displayName, actor(client), { source, externalId }))
  const group = await parts.store.findGroupNamed(source, displayName)
  if (!group) throw new Problem(SCIM_NOT_FOUND, 'The group was removed while it was made.')
  await parts.accounts.changeMembers({ group, source, join: [...wanted.members], leave: [] }, actor(client))
  return showOneGroup(parts, client, group.id)
}

async function requireFree({ store }: Parts, name: string): Promise<void> {
  if (await store.isGroupName(name)) throw taken()
}

function taken(): Problem {
  return new Problem(SCIM_TAKEN, 'There is a group of this displayName. An administrator of Gatehouse can say whose.')
}

async function orTaken(change: Promise<void>): Promise<void> {
  await change.catch((error: unknown) => {
    throw isDuplicate(error) ? taken() : error
  })
}

/** Only accounts that this client made: it may give nobody else's account anything. */
async function requireOwn({ store }: Parts, { source }: Client, ids: readonly string[]): Promise<void> {
  if (ids.length > MAX_GROUP_SIZE)
    throw new Problem(SCIM_BAD_VALUE, `A group has ${MAX_GROUP_SIZE} members at the most.`)
  const own = await store.findOwn(source, ids)
  if (ids.some((id) => !own.has(id)))
    throw new Problem(SCIM_BAD_VALUE, 'A member is none of the users that this client provisions.')
}

export async function replaceGroup(parts: Parts, client: Client, wish: Wish & { body: unknown }) {
  await saveGroup(parts, client, { ...wish, edit: () => groupFrom(wish.body) })
  return showOneGroup(parts, client, wish.id)
}

/** Without its members, which may be very many. */
export async function changeGroup(parts: Parts, client: Client, wish: Wish & { body: unknown }) {
  await saveGroup(parts, client, { ...wish, edit: (before) => patchGroup(before, wish.body) })
  return showGroup(await findGroup(parts, client, wish.id), [], client.place)
}

async function saveGroup(
  parts: Parts,
  client: Client,
  wish: Wish & { edit: (before: GroupState) => GroupState },
): Promise<void> {
  const group = await findGroup(parts, client, wish.id)
  const { name, externalId } = group
  const memberships = await parts.store.memberships(client.source, 'group_id', [group.id])
  const members = new Set(memberships.map(({ accountId }) => accountId))
  const after = wish.edit({ displayName: name, externalId, members })
  const join = [...after.members].filter((id) => !members.has(id))
  const leave = [...members].filter((id) => !after.members.has(id))
  await requireOwn(parts, client, [...after.members])
  if (after.displayName !== name) await requireFree(parts, after.displayName)
  await holdVersion(parts.store, { kind: 'group', resource: group, ifMatch: wish.ifMatch })
  if (after.displayName !== name || after.externalId !== externalId)
    await orTaken(
      parts.accounts.renameGroup(name, { name: after.displayName, externalId: after.externalId }, actor(client)),
    )
  const renamed = { id: group.id, name: after.displayName }
  await parts.accounts.changeMembers({ group: renamed, source: client.source, join, leave }, actor(client))
}

export async function removeGroup(parts: Parts, client: Client, { id, ifMatch }: Wish): Promise<void> {
  const group = await findGroup(parts, client, id)
  await holdVersion(parts.store, { kind: 'group', resource: group, ifMatch })
  await parts.accounts.removeGroup(group.name, actor(client))
}
