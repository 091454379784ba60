import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { Kysely, sql, type Transaction } from 'kysely'
import type { AnyDatabase, Engine, StorageLog } from '../engine.ts'
import { whileDoing } from '../errors.ts'
import { createAppendRows } from './append.ts'
import { createLocalChanges } from './changes.ts'
import { SqliteClient } from './client.ts'
import { SqliteWorkerDialect } from './dialect.ts'
import type { Durability } from './messages.ts'

/** Opens the file, and makes it and its folders where they are missing (0600 and 0700). */
export async function openSqlite(file: string, options: { durability: Durability; log: StorageLog }): Promise<Engine> {
  createPrivately(file)
  const client = new SqliteClient({ file, durability: options.durability })
  const db = new Kysely<AnyDatabase>({ dialect: new SqliteWorkerDialect(client) })
  try {
    await client.ask({ kind: 'query', sql: 'select count(*) from sqlite_schema', parameters: [] })
  } catch (error) {
    throw whileDoing(`open the SQLite file ${file}`, error)
  }
  return {
    name: 'sqlite',
    db,
    changes: createLocalChanges(options.log),
    appendRows: createAppendRows(client),
    alone: (work) => db.transaction().execute(work),
    snapshot: (read) => readSnapshot({ file, durability: options.durability }, read),
    whileLoading: async (tx, load) => {
      await sql`pragma defer_foreign_keys = on`.execute(tx)
      await load()
    },
    schemaName: async () => undefined,
    close: () => client.close(),
  }
}

/** A connection of its own: in WAL mode a reader sees one state and holds up nobody. */
async function readSnapshot<T>(
  start: { file: string; durability: Durability },
  read: (tx: Transaction<AnyDatabase>) => Promise<T>,
): Promise<T> {
  const client = new SqliteClient(start)
  try {
    const db = new Kysely<AnyDatabase>({ dialect: new SqliteWorkerDialect(client) })
    return await db.transaction().setAccessMode('read only').execute(read)
  } finally {
    await client.close()
  }
}

/** SQLite gives its side files (-wal, -shm) the permissions of the main file. */
function createPrivately(file: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    closeSync(openSync(file, 'a', 0o600))
  } catch (error) {
    throw whileDoing(`open the SQLite file ${file}`, error)
  }
}
