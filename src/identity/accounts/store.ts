import type { Generated, Insertable, Kysely, Selectable } from 'kysely'
import * as z from 'zod'
import type { Clock } from '#kernel'
import type { Storage } from '#storage'
import { isInForce, type StoredMember } from './in-force.ts'
import { account, type Account } from './schema.ts'

type AccountRow = {
  id: string
  user_id: string
  folded_user_id: string
  kind: string
  role: string | null
  name: string | null
  email: string | null
  given_name: string | null
  family_name: string | null
  claims: string
  claims_until: number | null
  source: string
  external_id: string | null
  is_active: number
  created_at: number
  changed_at: number
  removed_at: number | null
  version: Generated<number>
}
type GroupRow = {
  id: string
  name: string
  source: string
  external_id: string | null
  created_at: number
  version: Generated<number>
}
/** `until`: of what an upstream source said, as long as it counts. */
type MembershipRow = { group_id: string; account_id: string; source: string; until: number | null }
export type AccountTables = {
  identity_account: AccountRow
  identity_group: GroupRow
  identity_membership: MembershipRow
}

/** What the source of an account says of it; what is left out stays. */
export type Said = {
  readonly externalId?: string | null | undefined
  readonly givenName?: string | null | undefined
  readonly familyName?: string | null | undefined
}

const claimsText = z.record(z.string(), z.json())

export type AccountStore = ReturnType<typeof createAccountStore>

/** Every query about accounts, with the names of their groups. */
export function createAccountStore(storage: Storage, clock: Clock) {
  const db = storage.tables<AccountTables>()
  const accounts = () => db.selectFrom('identity_account').selectAll()
  const groupsOf = async (ids: readonly string[]): Promise<ReadonlyMap<string, string[]>> => {
    if (ids.length === 0) return new Map()
    const rows = await memberships(db)
      .where('identity_membership.account_id', 'in', [...ids])
      .execute()
    const now = clock.now()
    return groupsByAccount(rows.filter(({ until }) => isInForce(until, now)))
  }
  const shown = async (rows: readonly Selectable<AccountRow>[]): Promise<Account[]> => {
    const groups = await groupsOf(rows.map(({ id }) => id))
    return rows.map((row) => toAccount(row, groups.get(row.id) ?? []))
  }
  return {
    /** `taken`: somebody has or had the user id. */
    insert: async (made: Account, origin: Said): Promise<'ok' | 'taken'> => {
      const row = { ...toRow(made), ...saidColumns(origin) }
      const insert = db.insertInto('identity_account').values(row)
      const { numInsertedOrUpdatedRows: rows = 0n } = await insert.onConflict((on) => on.doNothing()).executeTakeFirst()
      return rows > 0n ? 'ok' : 'taken'
    },
    /** Also when the account that had the user id was removed. */
    isTaken: async (userId: string): Promise<boolean> =>
      (await accounts().where('folded_user_id', '=', fold(userId)).executeTakeFirst()) !== undefined,
    /** By its id or its user id. */
    find: async (name: string): Promise<Account | undefined> => {
      const rows = await accounts()
        .where((eb) => eb.or([eb('id', '=', name), eb('folded_user_id', '=', fold(name))]))
        .where('removed_at', 'is', null)
        .limit(1)
        .execute()
      return (await shown(rows))[0]
    },
    /** Accounts after `after` in the order of their ids, which is that of their making. */
    list: async ({ after, limit }: { after?: string | undefined; limit: number }): Promise<Account[]> => {
      const query = accounts()
        .where('removed_at', 'is', null)
        .$if(after !== undefined, (given) => given.where('id', '>', after ?? ''))
      return shown(await query.orderBy('id').limit(limit).execute())
    },
    /** Everybody, those removed as well: their keys must stay refused. */
    loadMembers: async (): Promise<StoredMember[]> => {
      const rows = await accounts().execute()
      const sets = Map.groupBy(await memberships(db).execute(), ({ accountId }) => accountId)
      return rows.map((row) => toMember(row, sets.get(row.id) ?? []))
    },
  }
}

export function saidColumns({
  externalId,
  givenName,
  familyName,
}: Said): Partial<Pick<AccountRow, 'external_id' | 'given_name' | 'family_name'>> {
  return {
    ...(externalId === undefined ? {} : { external_id: externalId }),
    ...(givenName === undefined ? {} : { given_name: givenName }),
    ...(familyName === undefined ? {} : { family_name: familyName }),
  }
}

/** Two user ids that differ in their case only would be taken for each other by people. */
function fold(userId: string): string {
  return userId.normalize('NFKC').toLowerCase()
}

function memberships(db: Kysely<AccountTables>) {
  return db
    .selectFrom('identity_membership')
    .innerJoin('identity_group', 'identity_group.id', 'identity_membership.group_id')
    .select([
      'identity_membership.account_id as accountId',
      'identity_group.name as group',
      'identity_membership.until',
    ])
}

function groupsByAccount(rows: readonly { accountId: string; group: string }[]): ReadonlyMap<string, string[]> {
  const sets = Map.groupBy(rows, ({ accountId }) => accountId)
  return new Map([...sets].map(([id, found]) => [id, [...new Set(found.map(({ group }) => group))].toSorted()]))
}

function toRow(shown: Account): Insertable<AccountRow> {
  return {
    id: shown.id,
    user_id: shown.userId,
    folded_user_id: fold(shown.userId),
    kind: shown.kind,
    role: shown.role,
    name: shown.name,
    email: shown.email,
    given_name: null,
    family_name: null,
    claims: '{}',
    claims_until: null,
    source: shown.source,
    external_id: null,
    is_active: shown.isActive ? 1 : 0,
    created_at: shown.createdAt,
    changed_at: shown.changedAt,
    removed_at: null,
  }
}

function toAccount(row: Selectable<AccountRow>, groups: string[]): Account {
  return account.parse({
    id: row.id,
    userId: row.user_id,
    kind: row.kind,
    role: row.role,
    name: row.name,
    email: row.email,
    groups,
    source: row.source,
    isActive: row.is_active === 1,
    createdAt: row.created_at,
    changedAt: row.changed_at,
  })
}

function toMember(row: Selectable<AccountRow>, memberships: StoredMember['memberships']): StoredMember {
  const { id, userId, kind, role, isActive } = toAccount(row, [])
  const claims = claimsText.parse(JSON.parse(row.claims))
  return { accountId: id, userId, kind, role, isActive, memberships, claims, claimsUntil: row.claims_until }
}
