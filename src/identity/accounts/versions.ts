import type { Kysely } from 'kysely'
import type { AccountTables } from './store.ts'

/**
 * Each person and each group counts its changes: the number is the version that a conditional request of SCIM speaks
 * of. Who is in a group is shown with both, so it counts for both.
 */
type Db = Kysely<AccountTables>

export async function countChangeOfGroup(db: Db, id: string): Promise<void> {
  const groups = db.updateTable('identity_group').set((eb) => ({ version: eb('version', '+', 1) }))
  await groups.where('id', '=', id).execute()
}

export async function countChangeOfAccount(db: Db, id: string): Promise<void> {
  const accounts = db.updateTable('identity_account').set((eb) => ({ version: eb('version', '+', 1) }))
  await accounts.where('id', '=', id).execute()
}

/** Of everybody who is in the group. */
export async function countChangeOfMembers(db: Db, groupId: string): Promise<void> {
  const members = db.selectFrom('identity_membership').select('account_id').where('group_id', '=', groupId)
  const accounts = db.updateTable('identity_account').set((eb) => ({ version: eb('version', '+', 1) }))
  await accounts.where('id', 'in', members).execute()
}

/** Of every group that the account is in. */
export async function countChangeOfGroupsOf(db: Db, accountId: string): Promise<void> {
  const theirs = db.selectFrom('identity_membership').select('group_id').where('account_id', '=', accountId)
  const groups = db.updateTable('identity_group').set((eb) => ({ version: eb('version', '+', 1) }))
  await groups.where('id', 'in', theirs).execute()
}
