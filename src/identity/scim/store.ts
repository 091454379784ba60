import { sql, type Kysely, type Selectable } from 'kysely'
import type { Storage } from '#storage'
import type { AccountTables } from '../accounts/store.ts'
import type { GroupFilter, UserFilter } from './filter.ts'

export type Page = { readonly offset: number; readonly limit: number }
export type ScimGroupRow = {
  readonly id: string
  readonly name: string
  readonly externalId: string | null
  readonly createdAt: number
  readonly version: number
}
export type ScimUserRow = {
  readonly id: string
  readonly userName: string
  readonly externalId: string | null
  readonly displayName: string | null
  readonly givenName: string | null
  readonly familyName: string | null
  readonly email: string | null
  readonly isActive: boolean
  readonly createdAt: number
  readonly changedAt: number
  readonly version: number
}
export type Versioned = { readonly id: string; readonly version: number }
export type ScimStore = ReturnType<typeof createScimStore>

/** What one source may see. Every query names the source, so that nothing of others can be found. */
export function createScimStore(storage: Storage) {
  const db = storage.tables<AccountTables>()
  return {
    ...userQueries(db),
    ...groupQueries(db),
    memberships: membershipsIn.bind(null, db),
    /** Makes the next version of a resource. False when there is a newer one: somebody else was faster. */
    claim: async (kind: 'user' | 'group', { id, version }: Versioned): Promise<boolean> => {
      const table = ({ user: 'identity_account', group: 'identity_group' } as const)[kind]
      const update = db
        .updateTable(table)
        .set({ version: version + 1 })
        .where('id', '=', id)
      const { numUpdatedRows } = await update.where('version', '=', version).executeTakeFirst()
      return numUpdatedRows > 0n
    },
  }
}

type Db = Kysely<AccountTables>

function userQueries(db: Db) {
  const usersOf = (source: string, filter: UserFilter) =>
    filter.reduce(
      (query, { attribute, value }) =>
        attribute === 'userName'
          ? query.where('folded_user_id', '=', value.normalize('NFKC').toLowerCase())
          : query.where(isValue(USER_COLUMN[attribute], value)),
      db.selectFrom('identity_account').where('source', '=', source).where('removed_at', 'is', null),
    )
  return {
    countUsers: async (source: string, filter: UserFilter): Promise<number> => {
      const { amount } = await usersOf(source, filter)
        .select((eb) => eb.fn.countAll().as('amount'))
        .executeTakeFirstOrThrow()
      return Number(amount)
    },
    listUsers: async (source: string, filter: UserFilter, { offset, limit }: Page): Promise<ScimUserRow[]> => {
      const rows = await usersOf(source, filter).selectAll().orderBy('id').limit(limit).offset(offset).execute()
      return rows.map((row) => ({
        id: row.id,
        userName: row.user_id,
        externalId: row.external_id,
        displayName: row.name,
        givenName: row.given_name,
        familyName: row.family_name,
        email: row.email,
        isActive: row.is_active === 1,
        createdAt: row.created_at,
        changedAt: row.changed_at,
        version: row.version,
      }))
    },
    /** Which of these ids are accounts of this source. */
    findOwn: async (source: string, ids: readonly string[]): Promise<ReadonlySet<string>> => {
      const found = new Set<string>()
      for (let at = 0; at < ids.length; at += 500) {
        const some = ids.slice(at, at + 500)
        const rows = await usersOf(source, []).select('id').where('id', 'in', some).execute()
        for (const { id } of rows) found.add(id)
      }
      return found
    },
  }
}

function groupQueries(db: Db) {
  const groupsOf = (source: string, filter: GroupFilter) =>
    filter.reduce(
      (query, { attribute, value }) =>
        attribute === 'members'
          ? query.where('id', 'in', (eb) =>
              eb
                .selectFrom('identity_membership')
                .select('group_id')
                .where('account_id', '=', value)
                .where('identity_membership.source', '=', source),
            )
          : query.where(isValue(GROUP_COLUMN[attribute], value)),
      db.selectFrom('identity_group').where('source', '=', source),
    )
  return {
    countGroups: async (source: string, filter: GroupFilter): Promise<number> => {
      const { amount } = await groupsOf(source, filter)
        .select((eb) => eb.fn.countAll().as('amount'))
        .executeTakeFirstOrThrow()
      return Number(amount)
    },
    listGroups: async (source: string, filter: GroupFilter, { offset, limit }: Page): Promise<ScimGroupRow[]> => {
      const rows = await groupsOf(source, filter).selectAll().orderBy('id').limit(limit).offset(offset).execute()
      return rows.map(toGroup)
    },
    /** To the letter: names that differ in their case are of two groups. */
    findGroupNamed: async (source: string, name: string): Promise<ScimGroupRow | undefined> => {
      const row = await groupsOf(source, []).selectAll().where('name', '=', name).executeTakeFirst()
      return row && toGroup(row)
    },
    /** True when anybody has a group of this name. */
    isGroupName: async (name: string): Promise<boolean> => {
      const row = await db.selectFrom('identity_group').select('id').where('name', '=', name).executeTakeFirst()
      return row !== undefined
    },
  }
}

function toGroup(row: Selectable<AccountTables['identity_group']>): ScimGroupRow {
  return { id: row.id, name: row.name, externalId: row.external_id, createdAt: row.created_at, version: row.version }
}

/** Who is in these groups, and in which of them these accounts are, by this source. */
async function membershipsIn(db: Db, source: string, by: 'group_id' | 'account_id', ids: readonly string[]) {
  if (ids.length === 0) return []
  return db
    .selectFrom('identity_membership')
    .innerJoin('identity_account', 'identity_account.id', 'identity_membership.account_id')
    .innerJoin('identity_group', 'identity_group.id', 'identity_membership.group_id')
    .select([
      'identity_group.id as groupId',
      'identity_group.name as group',
      'identity_account.id as accountId',
      'identity_account.user_id as userName',
    ])
    .where('identity_membership.source', '=', source)
    .where('identity_account.source', '=', source)
    .where('identity_group.source', '=', source)
    .where(`identity_membership.${by}`, 'in', [...ids])
    .orderBy('identity_account.id')
    .execute()
}

/** Of what is no id, capitals and small letters are the same (RFC 7643 §2.2: `caseExact`). */
function isValue(column: 'id' | 'external_id' | 'name' | 'email', value: string) {
  return column === 'id' || column === 'external_id'
    ? sql<boolean>`${sql.ref(column)} = ${value}`
    : sql<boolean>`lower(${sql.ref(column)}) = lower(${value})`
}

const USER_COLUMN = { id: 'id', externalId: 'external_id', displayName: 'name', emails: 'email' } as const
const GROUP_COLUMN = { id: 'id', externalId: 'external_id', displayName: 'name' } as const
