import type { Storage } from '#storage'

type PasswordTables = { identity_password: { account_id: string; hash: string; set_at: number } }

export type PasswordStore = ReturnType<typeof createPasswordStore>

/** Every query about passwords, of which only the hashes are here. */
export function createPasswordStore(storage: Storage) {
  const db = storage.tables<PasswordTables>()
  return {
    save: async ({ accountId, hash, at }: { accountId: string; hash: string; at: number }): Promise<void> => {
      await db
        .insertInto('identity_password')
        .values({ account_id: accountId, hash, set_at: at })
        .onConflict((conflict) => conflict.column('account_id').doUpdateSet({ hash, set_at: at }))
        .execute()
    },
    find: async (accountId: string): Promise<string | undefined> => {
      const row = await db
        .selectFrom('identity_password')
        .select('hash')
        .where('account_id', '=', accountId)
        .executeTakeFirst()
      return row?.hash
    },
  }
}
