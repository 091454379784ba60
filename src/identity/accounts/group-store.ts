import type { Insertable, Kysely } from 'kysely'
import type { Clock } from '#kernel'
import type { SharedTransaction, Storage } from '#storage'
import type { Group } from './schema.ts'
import type { AccountTables } from './store.ts'
import { countChangeOfAccount, countChangeOfGroup, countChangeOfGroupsOf, countChangeOfMembers } from './versions.ts'

export type GroupStore = ReturnType<typeof createGroupStore>

/** Every query about groups and who belongs to them. */
export function createGroupStore(storage: Storage, clock: Clock) {
  const db = storage.tables<AccountTables>()
  return {
    insertGroup: async (row: Insertable<AccountTables['identity_group']>): Promise<void> => {
      await db.insertInto('identity_group').values(row).execute()
    },
    /** With what else has to happen in the same transaction. */
    renameGroup: (
      id: string,
      to: { name: string; external_id: string | null },
      also: (tx: SharedTransaction) => Promise<void>,
    ): Promise<void> =>
      storage.transaction(async (tx) => {
        const tables = tx.tables<AccountTables>()
        await tables.updateTable('identity_group').set(to).where('id', '=', id).execute()
        await countChangeOfGroup(tables, id)
        await countChangeOfMembers(tables, id)
        await also(tx)
      }),
    findGroup: (name: string): Promise<{ id: string } | undefined> =>
      db.selectFrom('identity_group').select('id').where('name', '=', name).executeTakeFirst(),
    countGroups: async (): Promise<number> => {
      const { amount } = await db
        .selectFrom('identity_group')
        .select((eb) => eb.fn.countAll().as('amount'))
        .executeTakeFirstOrThrow()
      return Number(amount)
    },
    listGroups: () => listGroups(db, clock.now()),
    removeGroup: (id: string): Promise<void> =>
      db.transaction().execute(async (tx) => {
        await countChangeOfMembers(tx, id)
        await tx.deleteFrom('identity_membership').where('group_id', '=', id).execute()
        await tx.deleteFrom('identity_group').where('id', '=', id).execute()
      }),
    ...membershipQueries(db),
  }
}

function membershipQueries(db: Kysely<AccountTables>) {
  return {
    join: (groupId: string, accountId: string, source: string): Promise<void> =>
      db.transaction().execute(async (tx) => {
        await tx
          .insertInto('identity_membership')
          .values({ group_id: groupId, account_id: accountId, source, until: null })
          .onConflict((conflict) => conflict.doNothing())
          .execute()
        await countMembership(tx, groupId, accountId)
      }),
    leaveAll: (accountId: string, source: string): Promise<void> =>
      db.transaction().execute(async (tx) => {
        await countChangeOfGroupsOf(tx, accountId)
        await countChangeOfAccount(tx, accountId)
        const all = tx.deleteFrom('identity_membership').where('account_id', '=', accountId)
        await all.where('source', '=', source).execute()
      }),
    leave: (groupId: string, accountId: string, source: string): Promise<void> =>
      db.transaction().execute(async (tx) => {
        await tx
          .deleteFrom('identity_membership')
          .where('group_id', '=', groupId)
          .where('account_id', '=', accountId)
          .where('source', '=', source)
          .execute()
        await countMembership(tx, groupId, accountId)
      }),
  }
}

async function countMembership(tx: Kysely<AccountTables>, groupId: string, accountId: string): Promise<void> {
  await countChangeOfGroup(tx, groupId)
  await countChangeOfAccount(tx, accountId)
}

async function listGroups(db: Kysely<AccountTables>, now: number): Promise<Group[]> {
  const rows = await db.selectFrom('identity_group').selectAll().orderBy('name').execute()
  const counts = await db
    .selectFrom('identity_membership')
    .where((eb) => eb.or([eb('until', 'is', null), eb('until', '>', now)]))
    .select((eb) => ['group_id', eb.fn.count('account_id').distinct().as('amount')])
    .groupBy('group_id')
    .execute()
  const byId = new Map(counts.map(({ group_id, amount }) => [group_id, Number(amount)]))
  return rows.map(({ id, name, source, created_at }) => ({
    name,
    source,
    members: byId.get(id) ?? 0,
    createdAt: created_at,
  }))
}
