import { isDuplicate, type Storage } from '#storage'

export type KeyRow = {
  kid: string
  alg: string
  /** `ES256/7`: of an algorithm there is one key with a number, whichever replica makes it. */
  slot: string
  private_key: Uint8Array
  created_at: number
  signs_at: number
}

export type KeyStore = ReturnType<typeof createKeyStore>

/** Every query about signing keys. */
export function createKeyStore(storage: Storage) {
  const db = storage.tables<{ oauth_key: KeyRow }>()
  return {
    all: (): Promise<KeyRow[]> => db.selectFrom('oauth_key').selectAll().orderBy('created_at').orderBy('kid').execute(),
    /** True for the replica that is first to fill the slot. */
    offer: async (row: KeyRow): Promise<boolean> => {
      const made = await db
        .insertInto('oauth_key')
        .values(row)
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst()
      return (made.numInsertedOrUpdatedRows ?? 0n) > 0n
    },
    /** These and no others from now on; false when a slot of theirs is taken, and then nothing is changed. */
    replaceAll: async (rows: readonly KeyRow[]): Promise<boolean> => {
      const kids = rows.map(({ kid }) => kid)
      try {
        await db.transaction().execute(async (tx) => {
          await tx
            .insertInto('oauth_key')
            .values([...rows])
            .execute()
          await tx.deleteFrom('oauth_key').where('kid', 'not in', kids).execute()
        })
        return true
      } catch (error) {
        if (isDuplicate(error)) return false
        throw error
      }
    },
    remove: async (kid: string): Promise<boolean> => {
      const gone = await db.deleteFrom('oauth_key').where('kid', '=', kid).executeTakeFirst()
      return gone.numDeletedRows > 0n
    },
  }
}
