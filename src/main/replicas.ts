import type { Kysely } from 'kysely'
import type { ReplicaRouting } from '#gateway'
import type { Clock } from '#kernel'
import type { Migrations, Storage } from '#storage'
import { handOver, isHandedOver } from './hand-over.ts'

/**
 * Several processes as one house. Each says in the database that it is alive and where it is reached; a request that
 * belongs to another one (its session, or a call that waits there) is handed over whole. Nothing is decided here: the
 * other replica admits and checks the request exactly as if it had come to it first.
 */
export type Replicas = Pick<ReplicaRouting, 'id' | 'forward'> & {
  /** True when that replica lives, and has lived since that time. */
  isAlive(replicaId: string, since: number): Promise<boolean>
  /** Tells the others at once where this replica is reached now, instead of at the next beat. */
  announce(): Promise<void>
  close(): Promise<void>
}

type ReplicaTables = { main_replica: { id: string; url: string; started_at: number; seen_at: number } }

export const REPLICA_MIGRATIONS: Migrations = {
  '2026-11-21_main_replica': {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable('main_replica')
        .addColumn('id', 'text', (c) => c.primaryKey())
        .addColumn('url', 'text', (c) => c.notNull())
        .addColumn('seen_at', 'bigint', (c) => c.notNull())
        .execute()
    },
  },
  // An id outlives its process; what an earlier life began, this one does not end.
  '2026-11-22_main_replica_started': {
    async up(db: Kysely<unknown>) {
      await db.schema
        .alterTable('main_replica')
        .addColumn('started_at', 'bigint', (c) => c.notNull().defaultTo(0))
        .execute()
    },
  },
}

const BEAT_MS = 2_000
const DEAD_AFTER_MS = 7_000

/** Joins the replicas under `url`; leaves on close. */
export async function joinReplicas(deps: { storage: Storage; clock: Clock; url: () => string }): Promise<Replicas> {
  const { storage, clock } = deps
  const db = storage.tables<ReplicaTables>()
  const id = storage.replicaId
  const started_at = clock.now()
  const beat = async (): Promise<void> => {
    const row = { id, url: deps.url(), started_at, seen_at: clock.now() }
    await db
      .insertInto('main_replica')
      .values(row)
      .onConflict((c) => c.column('id').doUpdateSet({ url: row.url, started_at, seen_at: row.seen_at }))
      .execute()
  }
  const find = async (replicaId: string) => {
    const row = await db.selectFrom('main_replica').selectAll().where('id', '=', replicaId).executeTakeFirst()
    return row && clock.now() - row.seen_at < DEAD_AFTER_MS ? row : null
  }
  await beat()
  const timer = setInterval(() => void beat().catch(() => {}), BEAT_MS) // a missed beat is made up by the next
  timer.unref()
  return {
    id,
    async forward(replicaId, req, res, body) {
      if (isHandedOver(req)) return 'gone'
      const peer = await find(replicaId)
      return peer === null ? 'gone' : handOver({ url: peer.url, from: id }, { req, res, body })
    },
    isAlive: async (replicaId, since) => ((await find(replicaId))?.started_at ?? Infinity) <= since,
    announce: beat,
    async close() {
      clearInterval(timer)
      // With the store down the row stays, and reads as dead in a moment.
      await db
        .deleteFrom('main_replica')
        .where('id', '=', id)
        .execute()
        .catch(() => [])
    },
  }
}
