import type { Storage } from '#storage'

export type CeremonyPurpose = 'add' | 'sign-in'

type CeremonyRow = {
  id_hash: string
  challenge_hash: string
  purpose: CeremonyPurpose
  account_id: string | null
  expires_at: number
}
type CeremonyTables = { identity_ceremony: CeremonyRow }

export type CeremonyStore = ReturnType<typeof createCeremonyStore>

/** Every query about ceremonies with passkeys that are under way. */
export function createCeremonyStore(storage: Storage) {
  const db = storage.tables<CeremonyTables>()
  return {
    insert: async (row: CeremonyRow): Promise<void> => {
      await db.insertInto('identity_ceremony').values(row).execute()
    },
    /** Of one account, or of nobody yet. */
    count: async (accountId: string | null): Promise<number> => {
      const { amount } = await db
        .selectFrom('identity_ceremony')
        .select(({ fn }) => fn.countAll<number | string>().as('amount'))
        .where('account_id', accountId === null ? 'is' : '=', accountId)
        .executeTakeFirstOrThrow()
      return Number(amount)
    },
    /** Takes it away: whoever gets it is the only one. */
    take: (asked: { idHash: string; purpose: CeremonyPurpose; now: number }): Promise<CeremonyRow | undefined> =>
      db
        .deleteFrom('identity_ceremony')
        .where('id_hash', '=', asked.idHash)
        .where('purpose', '=', asked.purpose)
        .where('expires_at', '>', asked.now)
        .returningAll()
        .executeTakeFirst(),
    sweep: async (now: number): Promise<void> => {
      await db.deleteFrom('identity_ceremony').where('expires_at', '<=', now).execute()
    },
  }
}
