import { newId, Problem } from '#kernel'
import { isDuplicate } from '#storage'
import { audited } from '../audited.ts'
import { BAD_GROUP, NO_SUCH_GROUP } from '../problems.ts'
import type { Actor } from '../schema.ts'
import { NOBODY_NAMES, refuseNamed, type NamesOfGroups } from './renames.ts'
import { groupName, type Account } from './schema.ts'
import type { Accounts, AccountsDeps, GroupChange, MembershipChange, Origin } from './service.ts'

const MAX_GROUPS = 10_000
/** Memberships that people of this house gave; those of an upstream source are replaced by it alone. */
export const LOCAL = 'local'

type GroupVerb =
  | 'createGroup'
  | 'renameGroup'
  | 'heedNames'
  | 'changeMembers'
  | 'listGroups'
  | 'removeGroup'
  | 'addMember'
  | 'removeMember'
type GetAccount = (name: string) => Promise<Account>

/** Groups and who belongs to them. */
export function groupVerbs(deps: AccountsDeps, getAccount: GetAccount): Pick<Accounts, GroupVerb> {
  let names = NOBODY_NAMES
  return {
    createGroup: (name, by, origin = { source: LOCAL }) => createGroup(deps, { name, origin }, by),
    renameGroup: (name, change, by) => renameGroup(deps, { name, change, names }, by),
    heedNames: (heeded) => void (names = heeded),
    changeMembers: (change, by) => changeMembers(deps, change, by),
    listGroups: () => deps.groups.listGroups(),
    removeGroup: (name, by) => removeGroup(deps, name, by),
    addMember: (group, name, by) => changeMember(deps, getAccount, { group, name, by, verb: 'join' }),
    removeMember: (group, name, by) => changeMember(deps, getAccount, { group, name, by, verb: 'leave' }),
  }
}

async function createGroup(deps: AccountsDeps, wish: { name: string; origin: Origin }, by: Actor): Promise<void> {
  const { name, origin } = wish
  await requireFreeName(deps, name)
  if ((await deps.groups.countGroups()) >= MAX_GROUPS)
    throw new Problem(BAD_GROUP, `There are ${MAX_GROUPS} groups already; remove one first.`)
  const { source, externalId = null } = origin
  const row = { id: newId('grp'), name, source, external_id: externalId, created_at: deps.clock.now() }
  await audited(deps, { what: 'group.created', by, extra: { group: name, source } }, () =>
    orTaken(name, deps.groups.insertGroup(row)),
  )
}

async function requireFreeName(deps: AccountsDeps, name: string): Promise<void> {
  if (!groupName.safeParse(name).success)
    throw new Problem(BAD_GROUP, 'A group is named by 1 to 200 printable characters.')
  if ((await deps.groups.findGroup(name)) !== undefined) throw groupTaken(name)
}

function groupTaken(name: string, cause?: unknown): Problem {
  return new Problem(BAD_GROUP, `There is a group "${name}" already.`, { cause })
}

/** Somebody else may have taken the name in this very moment. */
async function orTaken(name: string, store: Promise<void>): Promise<void> {
  try {
    await store
  } catch (error) {
    throw isDuplicate(error) ? groupTaken(name, error) : error
  }
}

async function renameGroup(
  deps: AccountsDeps,
  wish: { name: string; change: GroupChange; names: NamesOfGroups },
  by: Actor,
): Promise<void> {
  const { name, change, names } = wish
  const { id } = await getGroup(deps, name)
  const rename = { from: name, to: change.name }
  const isOther = rename.from !== rename.to
  if (isOther) await requireFreeName(deps, change.name)
  if (isOther) refuseNamed(names, rename)
  await audited(deps, { what: 'group.renamed', by, extra: { group: name, to: change.name } }, () =>
    orTaken(
      change.name,
      deps.groups.renameGroup(id, { name: change.name, external_id: change.externalId }, async (tx) => {
        if (isOther) await names.follow(tx, rename)
      }),
    ),
  )
  await Promise.all([deps.announce(id), ...(isOther ? [names.announce()] : [])])
}

async function changeMembers(deps: AccountsDeps, change: MembershipChange, by: Actor): Promise<void> {
  const { group, source } = change
  const record = (what: 'group.joined' | 'group.left', account: string, store: () => Promise<void>) =>
    audited(deps, { what, by, extra: { group: group.name, account, source } }, store)
  for (const id of change.join) await record('group.joined', id, () => deps.groups.join(group.id, id, source))
  for (const id of change.leave) await record('group.left', id, () => deps.groups.leave(group.id, id, source))
  if (change.join.length + change.leave.length > 0) await deps.announce(group.id)
}

async function getGroup(deps: AccountsDeps, name: string): Promise<{ id: string }> {
  const found = await deps.groups.findGroup(name)
  if (found) return found
  const what = `There is no group "${name.slice(0, 200)}"; \`group list\` shows those there are.`
  throw new Problem(NO_SUCH_GROUP, what)
}

async function removeGroup(deps: AccountsDeps, name: string, by: Actor): Promise<void> {
  const { id } = await getGroup(deps, name)
  await audited(deps, { what: 'group.removed', by, extra: { group: name } }, () => deps.groups.removeGroup(id))
  await deps.announce(id)
}

async function changeMember(
  deps: AccountsDeps,
  getAccount: GetAccount,
  request: { group: string; name: string; by: Actor; verb: 'join' | 'leave' },
): Promise<Account> {
  const { group, name, by, verb } = request
  const { id: groupId } = await getGroup(deps, group)
  const { id, userId } = await getAccount(name)
  const what = verb === 'join' ? 'group.joined' : 'group.left'
  await audited(deps, { what, by, extra: { group, account: id, userId } }, () => deps.groups[verb](groupId, id, LOCAL))
  await deps.announce(id)
  return getAccount(id)
}
