import type { Storage } from '#storage'

type TotpRow = {
  account_id: string
  sealed: string | null
  last_step: number | null
  confirmed_at: number | null
  pending: string | null
  pending_at: number | null
}
type TotpTables = { identity_totp: TotpRow }

export type TotpStore = ReturnType<typeof createTotpStore>

/** Every query about one-time passwords. Secrets come and go sealed. */
export function createTotpStore(storage: Storage) {
  const db = storage.tables<TotpTables>()
  return {
    find: (accountId: string): Promise<TotpRow | undefined> =>
      db.selectFrom('identity_totp').selectAll().where('account_id', '=', accountId).executeTakeFirst(),
    /** What is in use stays in use. */
    saveDraft: async (accountId: string, sealed: string, at: number): Promise<void> => {
      const draft = { pending: sealed, pending_at: at }
      await db
        .insertInto('identity_totp')
        .values({ account_id: accountId, sealed: null, last_step: null, confirmed_at: null, ...draft })
        .onConflict((conflict) => conflict.column('account_id').doUpdateSet(draft))
        .execute()
    },
    /** Puts the draft in use in place of what was before. False when it is no longer the draft. */
    confirm: async (draft: { accountId: string; sealed: string; step: number; at: number }): Promise<boolean> => {
      const { accountId, sealed, step, at } = draft
      const done = await db
        .updateTable('identity_totp')
        .set({ sealed, last_step: step, confirmed_at: at, pending: null, pending_at: null })
        .where('account_id', '=', accountId)
        .where('pending', '=', sealed)
        .executeTakeFirst()
      return done.numUpdatedRows === 1n
    },
    /** False when this step, or a later one, was taken before: also on another replica, at the same moment. */
    takeStep: async (use: { accountId: string; sealed: string; step: number }): Promise<boolean> => {
      const done = await db
        .updateTable('identity_totp')
        .set({ last_step: use.step })
        .where('account_id', '=', use.accountId)
        .where('sealed', '=', use.sealed)
        .where('last_step', '<', use.step)
        .executeTakeFirst()
      return done.numUpdatedRows === 1n
    },
    remove: async (accountId: string): Promise<void> => {
      await db.deleteFrom('identity_totp').where('account_id', '=', accountId).execute()
    },
  }
}
