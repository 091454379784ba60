import type { Kysely } from 'kysely'
import * as z from 'zod'
import type { Storage } from '#storage'
import type { HashedKey } from './keyring.ts'
import { apiKey, type ApiKey } from './schema.ts'

type KeyRow = {
  id: string
  hash: string
  user_id: string | null
  gateways: string
  role: string
  name: string | null
  created_at: number
  expires_at: number | null
  revoked_at: number | null
  last_used_at: number | null
  /** When it was told that this key ends soon. */
  warned_at: number | null
}
type IdentityTables = { identity_key: KeyRow }

const gatewaysText = z.array(z.string())

export type IdentityStore = ReturnType<typeof createIdentityStore>

/** Every query of the room. */
export function createIdentityStore(storage: Storage) {
  const db = storage.tables<IdentityTables>()
  const keys = () => db.selectFrom('identity_key').selectAll()
  return {
    insert: async ({ hash, key }: HashedKey): Promise<void> => {
      await db.insertInto('identity_key').values(toRow(hash, key)).execute()
    },
    find: async (id: string): Promise<ApiKey | undefined> => {
      const row = await keys().where('id', '=', id).executeTakeFirst()
      return row && toKey(row)
    },
    /** Returns false when it was revoked before. */
    revoke: async (id: string, at: number): Promise<boolean> => {
      const query = db
        .updateTable('identity_key')
        .set({ revoked_at: at })
        .where('id', '=', id)
        .where('revoked_at', 'is', null)
      return (await query.executeTakeFirst()).numUpdatedRows > 0n
    },
    /** Keys after `after` in the order of their ids, which is that of their making. */
    list: async (request: {
      userId?: string | undefined
      after?: string | undefined
      limit: number
    }): Promise<ApiKey[]> => {
      const { userId, after, limit } = request
      const query = keys()
        .$if(userId !== undefined, (given) => given.where('user_id', '=', userId ?? ''))
        .$if(after !== undefined, (given) => given.where('id', '>', after ?? ''))
      return (await query.orderBy('id').limit(limit).execute()).map(toKey)
    },
    /** All keys that ended after `endedAfter` or not at all. */
    loadAll: async (endedAfter: number): Promise<HashedKey[]> => {
      const rows = await keys()
        .where((eb) => eb.or([eb('revoked_at', 'is', null), eb('revoked_at', '>', endedAfter)]))
        .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', endedAfter)]))
        .execute()
      return rows.map((row) => ({ hash: row.hash, key: toKey(row) }))
    },
    ...createExpiryStore(db),
    saveLastUse: (uses: ReadonlyMap<string, number>): Promise<void> =>
      db.transaction().execute(async (tx) => {
        // In the order of ids, so that two replicas that save at once never wait for each other in a circle.
        for (const [id, at] of [...uses].toSorted(([a], [b]) => (a < b ? -1 : 1)))
          await tx
            .updateTable('identity_key')
            .set({ last_used_at: at })
            .where('id', '=', id)
            .where((eb) => eb.or([eb('last_used_at', 'is', null), eb('last_used_at', '<', at)]))
            .execute()
      }),
  }
}

function createExpiryStore(db: Kysely<IdentityTables>) {
  return {
    /** Keys that count now and end by then, first those that end first. */
    endingBy: async (then: number, { now, limit }: { now: number; limit: number }): Promise<ApiKey[]> => {
      const rows = await db
        .selectFrom('identity_key')
        .selectAll()
        .where('revoked_at', 'is', null)
        .where('expires_at', '>', now)
        .where('expires_at', '<=', then)
        .orderBy('expires_at')
        .limit(limit)
        .execute()
      return rows.map(toKey)
    },
    /** True for the first. */
    markWarned: async (id: string, at: number): Promise<boolean> => {
      const mark = db
        .updateTable('identity_key')
        .set({ warned_at: at })
        .where('id', '=', id)
        .where('warned_at', 'is', null)
      return (await mark.executeTakeFirst()).numUpdatedRows > 0n
    },
  }
}

function toRow(hash: string, key: ApiKey): KeyRow {
  return {
    id: key.id,
    hash,
    user_id: key.userId,
    gateways: JSON.stringify(key.gateways),
    role: key.role,
    name: key.name,
    created_at: key.createdAt,
    expires_at: key.expiresAt,
    revoked_at: key.revokedAt,
    last_used_at: key.lastUsedAt,
    warned_at: null,
  }
}

function toKey(row: KeyRow): ApiKey {
  return apiKey.parse({
    id: row.id,
    userId: row.user_id,
    gateways: gatewaysText.parse(JSON.parse(row.gateways)),
    role: row.role,
    name: row.name,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
    lastUsedAt: row.last_used_at,
  })
}
