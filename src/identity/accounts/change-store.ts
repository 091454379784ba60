import type { Transaction } from 'kysely'
import type { Storage } from '#storage'
import { removeFactors } from '../factors/removal.ts'
import type { Account } from './schema.ts'
import { saidColumns, type AccountTables, type Said } from './store.ts'
import { countChangeOfGroupsOf } from './versions.ts'

/** What of an account changes; what is left out stays as it is stored, whoever changes it at the same time. */
type Change = { readonly changedAt: number } & {
  readonly [Field in 'role' | 'name' | 'email' | 'isActive' | 'source']?: Account[Field] | undefined
}

export type ChangeStore = ReturnType<typeof createChangeStore>

/** Changes of accounts that are there. `last-admin`: nobody would be an active admin any more, so nothing was changed. */
export function createChangeStore(storage: Storage) {
  const db = storage.tables<AccountTables>()
  const isLastAdmin = async (tx: Transaction<AccountTables>, id: string): Promise<boolean> => {
    const admins = tx
      .selectFrom('identity_account')
      .select('id')
      .where('role', '=', 'admin')
      .where('is_active', '=', 1)
      .orderBy('id')
    // Whoever takes another admin away at the same time waits here, or has; SQLite has one writer at a time.
    const found = await admins.$if(storage.engine === 'postgres', (query) => query.forUpdate()).execute()
    return found.length === 1 && found[0]?.id === id
  }
  return {
    update: (id: string, change: Change, said: Said = {}): Promise<'ok' | 'last-admin'> =>
      db.transaction().execute(async (tx) => {
        const { role, name, email, isActive, source, changedAt: changed_at } = change
        const endsAdmin = isActive === false || (role !== undefined && role !== 'admin')
        if (endsAdmin && (await isLastAdmin(tx, id))) return 'last-admin'
        const active = isActive === undefined ? {} : { is_active: isActive ? 1 : 0 }
        await tx
          .updateTable('identity_account')
          .set({ role, name, email, source, changed_at, ...active, ...saidColumns(said) })
          .set((eb) => ({ version: eb('version', '+', 1) }))
          .where('id', '=', id)
          .where('removed_at', 'is', null)
          .execute()
        return 'ok'
      }),
    /** The row stays, so that nobody else is ever given the user id; what it tells of the person goes. */
    remove: (id: string, at: number): Promise<'ok' | 'last-admin'> =>
      db.transaction().execute(async (tx) => {
        if (await isLastAdmin(tx, id)) return 'last-admin'
        await countChangeOfGroupsOf(tx, id)
        await tx.deleteFrom('identity_membership').where('account_id', '=', id).execute()
        await removeFactors(tx, id)
        const gone = { is_active: 0, removed_at: at, changed_at: at, ...FORGOTTEN }
        await tx.updateTable('identity_account').set(gone).where('id', '=', id).execute()
        return 'ok'
      }),
  }
}

const FORGOTTEN = {
  name: null,
  email: null,
  claims: '{}',
  claims_until: null,
  external_id: null,
  given_name: null,
  family_name: null,
}
