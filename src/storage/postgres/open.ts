import { Kysely, sql, type Transaction } from 'kysely'
import type { AnyDatabase, Engine, StorageLog } from '../engine.ts'
import { createAppendRows } from './append.ts'
import { PostgresChanges } from './changes.ts'
import { PostgresPoolDialect } from './dialect.ts'
import { loadWithoutForeignKeys } from './loading.ts'
import { createPool } from './pool.ts'

/** Any number, the same in every version: who holds it changes the schema. */
const SCHEMA_LOCK = 4_811_072_026
const SCHEMA_LOCK_DEADLINE = '10min'

/** Connects, and listens for changes. The house needs the server itself or a pooler in session mode, for LISTEN. */
export async function openPostgres(url: string, { log }: { log: StorageLog }): Promise<Engine> {
  const pool = createPool(url, { log, isPatient: false })
  const patientPool = createPool(url, { log, isPatient: true })
  const changes = new PostgresChanges({ url, pool, log })
  const patientDb = new Kysely<AnyDatabase>({ dialect: new PostgresPoolDialect(patientPool) })
  const close = createClose([() => changes.close(), () => pool.end(), () => patientPool.end()])
  try {
    await changes.start()
  } catch (error) {
    await close()
    throw error
  }
  return {
    name: 'postgres',
    db: new Kysely<AnyDatabase>({ dialect: new PostgresPoolDialect(pool) }),
    changes,
    appendRows: createAppendRows(pool),
    alone: (work) => patientDb.transaction().execute(async (tx) => work(await lockSchema(tx))),
    snapshot: (read) =>
      patientDb.transaction().setIsolationLevel('repeatable read').setAccessMode('read only').execute(read),
    whileLoading: loadWithoutForeignKeys,
    schemaName: readSchemaName,
    close,
  }
}

async function lockSchema(tx: Transaction<AnyDatabase>): Promise<Transaction<AnyDatabase>> {
  await sql`set local lock_timeout = ${sql.lit(SCHEMA_LOCK_DEADLINE)}`.execute(tx)
  await sql`select pg_advisory_xact_lock(${SCHEMA_LOCK})`.execute(tx)
  return tx
}

/** Closes all, once, however often it is asked. */
function createClose(steps: readonly (() => Promise<void>)[]): () => Promise<void> {
  let closed: Promise<unknown> | undefined
  return async () => {
    closed ??= Promise.all(steps.map((step) => step()))
    await closed
  }
}

async function readSchemaName(tx: Transaction<AnyDatabase>): Promise<string | undefined> {
  const { rows } = await sql<{ name: string }>`select current_schema() as name`.execute(tx)
  return rows[0]?.name
}
