import type { Kysely, Transaction } from 'kysely'
import { systemClock, type Clock } from '#kernel'
import { createAppends } from './appends.ts'
import { writeBackup } from './backup.ts'
import type { Migrations, Storage } from './contract.ts'
import type { Engine, StorageLog } from './engine.ts'
import { migrate } from './migrate.ts'
import { openPostgres } from './postgres/open.ts'
import { readReplicaId } from './replica-id.ts'
import { createSharedKeys } from './shared-key.ts'
import { parseStorageUrl } from './storage-url.ts'
import type { Durability } from './sqlite/messages.ts'
import { openSqlite } from './sqlite/open.ts'

export type StorageOptions = {
  /** `sqlite:<path>` (a relative path is taken as it is; resolve it first) or `postgres://user:password@host/database`. */
  readonly url: string
  /** Where this process keeps its replica id. */
  readonly dataDir: string
  /** The migrations of all rooms, merged. */
  readonly migrations: Migrations
  readonly clock?: Clock
  readonly log?: StorageLog
  /** SQLite only: what a commit survives. `power` by default; `process` saves the fsync. */
  readonly durability?: Durability
}

/**
 * Opens the database and brings it to this version. Refuses (`Problem`) a URL it cannot use and a database written
 * by a newer version; rejects with an `Error` when the database cannot be reached.
 */
export async function openStorage(options: StorageOptions): Promise<Storage> {
  const { clock = systemClock, log = () => {} } = options
  const replicaId = await readReplicaId(options.dataDir)
  const engine = await openEngine(options)
  try {
    await migrate(engine, { migrations: options.migrations, clock, log })
  } catch (error) {
    await engine.close()
    throw error
  }
  const appends = createAppends(engine)
  return {
    engine: engine.name,
    replicaId,
    // A room names its own tables; nothing at run time depends on the type.
    tables: <T>() => engine.db as unknown as Kysely<T>,
    transaction: (work) =>
      engine.db.transaction().execute((tx) => work({ tables: <T>() => tx as unknown as Transaction<T> })),
    appendRows: appends.appendRows,
    changes: engine.changes,
    sharedKey: createSharedKeys(engine.db),
    backup: (toFile) => writeBackup(engine, { toFile, clock }),
    close: async () => {
      await appends.finish()
      await engine.close()
    },
  }
}

/** The engine behind a URL, before any migration. */
export function openEngine(options: Pick<StorageOptions, 'url' | 'log' | 'durability'>): Promise<Engine> {
  const { log = () => {}, durability = 'power' } = options
  const place = parseStorageUrl(options.url)
  switch (place.engine) {
    case 'sqlite':
      return openSqlite(place.file, { durability, log })
    case 'postgres':
      return openPostgres(place.url, { log })
  }
}
