import type { Storage } from '#storage'

type RecoveryTables = {
  identity_recovery: { account_id: string; salt: string; made_at: number }
  identity_recovery_code: { account_id: string; hash: string; used_at: number | null }
}

export type RecoveryStore = ReturnType<typeof createRecoveryStore>

/** Every query about recovery codes, of which only the hashes are here. */
export function createRecoveryStore(storage: Storage) {
  const db = storage.tables<RecoveryTables>()
  return {
    /** Ends all codes there were. The row of the salt comes first: of two who make codes at once, one waits for it. */
    replace: (made: { accountId: string; salt: string; hashes: readonly string[]; at: number }): Promise<void> =>
      db.transaction().execute(async (tx) => {
        const { accountId, salt, hashes, at } = made
        await tx
          .insertInto('identity_recovery')
          .values({ account_id: accountId, salt, made_at: at })
          .onConflict((conflict) => conflict.column('account_id').doUpdateSet({ salt, made_at: at }))
          .execute()
        await tx.deleteFrom('identity_recovery_code').where('account_id', '=', accountId).execute()
        const rows = hashes.map((hash) => ({ account_id: accountId, hash, used_at: null }))
        await tx.insertInto('identity_recovery_code').values(rows).execute()
      }),
    findSalt: async (accountId: string): Promise<string | undefined> => {
      const query = db.selectFrom('identity_recovery').select('salt').where('account_id', '=', accountId)
      return (await query.executeTakeFirst())?.salt
    },
    isKnown: async (accountId: string, hash: string): Promise<boolean> => {
      const query = db.selectFrom('identity_recovery_code').select('hash').where('account_id', '=', accountId)
      return (await query.where('hash', '=', hash).executeTakeFirst()) !== undefined
    },
    /** False when somebody was faster. */
    use: async (code: { accountId: string; hash: string; at: number }): Promise<boolean> => {
      const done = await db
        .updateTable('identity_recovery_code')
        .set({ used_at: code.at })
        .where('account_id', '=', code.accountId)
        .where('hash', '=', code.hash)
        .where('used_at', 'is', null)
        .executeTakeFirst()
      return done.numUpdatedRows === 1n
    },
    countLeft: async (accountId: string): Promise<number> => {
      const rows = await db
        .selectFrom('identity_recovery_code')
        .select('hash')
        .where('account_id', '=', accountId)
        .where('used_at', 'is', null)
        .execute()
      return rows.length
    },
  }
}
