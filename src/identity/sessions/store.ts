import type { Storage } from '#storage'

export type SessionRow = {
  id: string
  token_hash: string
  account_id: string
  factor: string
  signed_in_at: number
  last_seen_at: number
  expires_at: number
  ended_at: number | null
  address: string
  agent: string
}
type SessionTables = { identity_session: SessionRow }

/** Every query about browser sessions. */
export function createSessionStore(storage: Storage) {
  const db = storage.tables<SessionTables>()
  return {
    insert: async (row: SessionRow): Promise<void> => {
      await db.insertInto('identity_session').values(row).execute()
    },
    findByHash: (tokenHash: string): Promise<SessionRow | undefined> =>
      db.selectFrom('identity_session').selectAll().where('token_hash', '=', tokenHash).executeTakeFirst(),
    ofAccount: (accountId: string): Promise<SessionRow[]> =>
      db
        .selectFrom('identity_session')
        .selectAll()
        .where('account_id', '=', accountId)
        .where('ended_at', 'is', null)
        .orderBy('id')
        .execute(),
    seen: async (id: string, at: number): Promise<void> => {
      await db.updateTable('identity_session').set({ last_seen_at: at }).where('id', '=', id).execute()
    },
    end: async (id: string, at: number): Promise<void> => {
      await db
        .updateTable('identity_session')
        .set({ ended_at: at })
        .where('id', '=', id)
        .where('ended_at', 'is', null)
        .execute()
    },
    removeOld: async (before: number): Promise<void> => {
      await db.deleteFrom('identity_session').where('signed_in_at', '<', before).execute()
    },
  }
}
