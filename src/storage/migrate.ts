import { sql, type Transaction } from 'kysely'
import { Problem, type Clock } from '#kernel'
import type { Migrations } from './contract.ts'
import type { AnyDatabase, Engine, StorageLog } from './engine.ts'
import { whileDoing } from './errors.ts'
import { STORAGE_MIGRATIONS } from './migrations.ts'
import { NEWER_DATABASE } from './problems.ts'

export type MigrateDeps = { readonly migrations: Migrations; readonly clock: Clock; readonly log: StorageLog }

/**
 * Brings the database to this version: each missing migration in the order of keys, in a transaction of its own; a new
 * database as a whole, or not at all. Several processes may do this at once. Refuses a database with migrations this
 * version does not know.
 */
export async function migrate(engine: Engine, deps: MigrateDeps): Promise<void> {
  const applied = await engine.alone(readApplied)
  const missing = planMigrations(deps.migrations, applied)
  const steps = applied.size === 0 ? [missing] : missing.map((key) => [key])
  for (const keys of steps) await engine.alone((tx) => runMigrations(tx, keys, deps))
}

/** The keys still to run, in order. Refuses applied keys that are not known. */
export function planMigrations(migrations: Migrations, applied: ReadonlySet<string>): string[] {
  const known = knownKeys(migrations)
  const unknown = [...applied].filter((key) => !known.includes(key))
  if (unknown.length > 0)
    throw new Problem(
      NEWER_DATABASE,
      `The database has the migrations ${unknown.join(', ')}, which this version does not know. Start the version that wrote it, or a newer one.`,
    )
  return known.filter((key) => !applied.has(key))
}

/** All migrations of this version, those of the storage included, in order. */
function knownKeys(migrations: Migrations): string[] {
  return Object.keys({ ...STORAGE_MIGRATIONS, ...migrations }).sort()
}

/** Runs migrations, but for those that another process has run meanwhile. */
export async function runMigrations(
  tx: Transaction<AnyDatabase>,
  keys: readonly string[],
  deps: MigrateDeps,
): Promise<void> {
  const known = { ...STORAGE_MIGRATIONS, ...deps.migrations }
  const applied = await readApplied(tx)
  for (const key of keys.filter((each) => !applied.has(each))) {
    await known[key]?.up(tx).catch((error: unknown) => {
      throw whileDoing(`run the migration ${key}`, error)
    })
    await sql`insert into storage_migration (key, at) values (${key}, ${deps.clock.now()})`.execute(tx)
    deps.log({ kind: 'migrated', key })
  }
}

/** The keys in the database; makes the table for them on first use. */
export async function readApplied(tx: Transaction<AnyDatabase>): Promise<Set<string>> {
  await sql`create table if not exists storage_migration (key text primary key, at bigint not null)`.execute(tx)
  const { rows } = await sql<{ key: string }>`select key from storage_migration`.execute(tx)
  return new Set(rows.map((row) => row.key))
}
