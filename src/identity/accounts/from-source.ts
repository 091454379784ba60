import type { Audit } from '#audit'
import { canonicalJson, newId, type Clock, type JsonObject } from '#kernel'
import type { Storage } from '#storage'
import { audited } from '../audited.ts'
import type { Directory } from '../principal.ts'
import type { Actor } from '../schema.ts'
import type { AccountTables } from './store.ts'

/** What an upstream source said of an account at its last sign-in. */
export type SourceSays = {
  /** The name of the source; memberships given by others stay as they are. */
  readonly source: string
  readonly groups: readonly string[]
  readonly claims: JsonObject
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
 * not yet is made. When nothing is other than before, nothing is written.
 */
export async function takeOverFromSource(deps: Deps, accountId: string, says: SourceSays): Promise<void> {
  const { source } = says
  const claims = canonicalJson(says.claims)
  const before = await readGroups(deps, accountId, source)
  const groups = [...new Set(says.groups)].toSorted()
  const known = deps.directory().findByAccountId(accountId)
  const isSame = before.join('\n') === groups.join('\n') && canonicalJson(known?.claims ?? {}) === claims
  if (isSame) return
  const by: Actor = { userId: known?.userId ?? null, face: 'web' }
  const extra = { account: accountId, source, groups: [...groups] }
  await audited(deps, { what: 'account.taken-over', by, extra }, () =>
    replace(deps, { accountId, source, groups, claims }),
  )
  await deps.announce(accountId)
}

async function readGroups({ storage }: Deps, accountId: string, source: string): Promise<readonly string[]> {
  const rows = await storage
    .tables<AccountTables>()
    .selectFrom('identity_membership')
    .innerJoin('identity_group', 'identity_group.id', 'identity_membership.group_id')
    .select('identity_group.name')
    .where('identity_membership.account_id', '=', accountId)
    .where('identity_membership.source', '=', source)
    .execute()
  return rows.map(({ name }) => name).toSorted()
}

type Wanted = { accountId: string; source: string; groups: readonly string[]; claims: string }

function replace({ storage, clock }: Deps, { accountId, source, groups, claims }: Wanted): Promise<void> {
  const db = storage.tables<AccountTables>()
  return db.transaction().execute(async (tx) => {
    const changed_at = clock.now()
    await tx.updateTable('identity_account').set({ claims, changed_at }).where('id', '=', accountId).execute()
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
    const memberships = rows.map(({ id }) => ({ group_id: id, account_id: accountId, source }))
    await tx
      .insertInto('identity_membership')
      .values(memberships)
      .onConflict((c) => c.doNothing())
      .execute()
  })
}
