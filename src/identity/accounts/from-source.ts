import type { Audit } from '#audit'
import { canonicalJson, newId, type Clock, type JsonObject } from '#kernel'
import type { Storage } from '#storage'
import { audited } from '../audited.ts'
import type { Directory } from '../principal.ts'
import type { Actor } from '../schema.ts'
import { isInForce } from './in-force.ts'
import type { AccountTables } from './store.ts'
import { countChangeOfAccount } from './versions.ts'

/** What an upstream source said of an account at its last sign-in. */
export type SourceSays = {
  /** The name of the source; memberships given by others stay as they are. */
  readonly source: string
  readonly groups: readonly string[]
  readonly claims: JsonObject
  /** For how long it counts without being said again. */
  readonly countsForMs: number
}

type Deps = {
  readonly storage: Storage
  readonly audit: Pick<Audit, 'record'>
  readonly clock: Clock
  readonly directory: () => Directory
  readonly announce: (id: string) => Promise<void>
}

/**
 * Takes over what a source says: its claims, and its groups in place of those that it gave before. A group that there is
 * not yet is made. What is said again counts for longer; when nothing is other than before, nothing is written.
 */
export async function takeOverFromSource(deps: Deps, accountId: string, says: SourceSays): Promise<void> {
  const { source } = says
  const wanted = { accountId, source, groups: [...new Set(says.groups)].toSorted(), claims: canonicalJson(says.claims) }
  const until = endOf(deps.clock.now() + says.countsForMs)
  const before = await readBefore(deps, accountId, source)
  const known = deps.directory().findByAccountId(accountId)
  const isSame =
    before.groups.join('\n') === wanted.groups.join('\n') && canonicalJson(known?.claims ?? {}) === wanted.claims
  if (isSame && before.ends.every((end) => end === until)) return
  if (isSame) await extend(deps, { ...wanted, until })
  else {
    const by: Actor = { userId: known?.userId ?? null, face: 'web' }
    const extra = { account: accountId, source, groups: wanted.groups }
    await audited(deps, { what: 'account.taken-over', by, extra }, () => replace(deps, { ...wanted, until }))
  }
  await deps.announce(accountId)
}

const DAY_MS = 86_400_000

/** Whole days, so that what is said again and again is written once a day, and all replicas build anew once a day. */
function endOf(at: number): number {
  return Math.ceil(at / DAY_MS) * DAY_MS
}

/** The groups that this source gave, as far as they count still, and when they and the claims end. */
async function readBefore({ storage, clock }: Deps, accountId: string, source: string) {
  const tables = storage.tables<AccountTables>()
  const rows = await tables
    .selectFrom('identity_membership')
    .innerJoin('identity_group', 'identity_group.id', 'identity_membership.group_id')
    .select(['identity_group.name', 'identity_membership.until'])
    .where('identity_membership.account_id', '=', accountId)
    .where('identity_membership.source', '=', source)
    .execute()
  const account = tables.selectFrom('identity_account').select(['claims', 'claims_until']).where('id', '=', accountId)
  const { claims = NONE, claims_until = null } = (await account.executeTakeFirst()) ?? {}
  const now = clock.now()
  return {
    groups: rows
      .filter(({ until }) => isInForce(until, now))
      .map(({ name }) => name)
      .toSorted(),
    ends: [...rows.map(({ until }) => until), ...(claims === NONE ? [] : [claims_until])],
  }
}

const NONE = '{}'

type Wanted = { accountId: string; source: string; groups: readonly string[]; claims: string; until: number }

function extend({ storage }: Deps, { accountId, source, until }: Wanted): Promise<void> {
  const db = storage.tables<AccountTables>()
  return db.transaction().execute(async (tx) => {
    const account = tx.updateTable('identity_account').set({ claims_until: until }).where('claims', '<>', NONE)
    await account.where('id', '=', accountId).execute()
    const given = tx.updateTable('identity_membership').set({ until }).where('account_id', '=', accountId)
    await given.where('source', '=', source).execute()
  })
}

function replace({ storage, clock }: Deps, { accountId, source, groups, claims, until }: Wanted): Promise<void> {
  const db = storage.tables<AccountTables>()
  return db.transaction().execute(async (tx) => {
    const changed_at = clock.now()
    const account = tx.updateTable('identity_account').set({ claims, claims_until: until, changed_at })
    await account.where('id', '=', accountId).execute()
    await countChangeOfAccount(tx, accountId)
    await tx
      .deleteFrom('identity_membership')
      .where('account_id', '=', accountId)
      .where('source', '=', source)
      .execute()
    if (groups.length === 0) return
    const made = groups.map((name) => ({ id: newId('group'), name, source, external_id: null, created_at: changed_at }))
    await tx
      .insertInto('identity_group')
      .values(made)
      .onConflict((c) => c.doNothing())
      .execute()
    const rows = await tx
      .selectFrom('identity_group')
      .select('id')
      .where('name', 'in', [...groups])
      .execute()
    const memberships = rows.map(({ id }) => ({ group_id: id, account_id: accountId, source, until }))
    await tx
      .insertInto('identity_membership')
      .values(memberships)
      .onConflict((c) => c.doNothing())
      .execute()
  })
}
