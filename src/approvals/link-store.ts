import type { Storage } from '#storage'

/** Of a token only the hash is kept. */
type LinkRow = { token_hash: string; approval: string; expires_at: number }

export type LinkStore = ReturnType<typeof createLinkStore>

/** Every query of one-time links. */
export function createLinkStore(storage: Storage) {
  const db = storage.tables<{ approval_link: LinkRow }>()
  return {
    insert: async (link: LinkRow): Promise<void> => {
      await db.insertInto('approval_link').values(link).execute()
    },
    find: async (tokenHash: string, now: number): Promise<string | null> => {
      const query = db.selectFrom('approval_link').select('approval').where('token_hash', '=', tokenHash)
      return (await query.where('expires_at', '>', now).executeTakeFirst())?.approval ?? null
    },
    remove: async (approval: string): Promise<void> => {
      await db.deleteFrom('approval_link').where('approval', '=', approval).execute()
    },
    removeOld: async (now: number): Promise<void> => {
      await db.deleteFrom('approval_link').where('expires_at', '<=', now).execute()
    },
  }
}
