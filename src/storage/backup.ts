import { open, rename, rm, type FileHandle } from 'node:fs/promises'
import { sql, type Transaction } from 'kysely'
import { newId, type Clock } from '#kernel'
import { formatLine, formatRow } from './backup-format.ts'
import type { AnyDatabase, Engine } from './engine.ts'
import { whileDoing } from './errors.ts'

export type TableShape = { readonly table: string; readonly columns: readonly string[] }

const ROWS_AT_ONCE = 200
const MIGRATION_TABLE = 'storage_migration'

/**
 * Writes one unchanging state of all tables while others go on writing. The file (0600) appears under its name only
 * when it is complete and on the disk.
 */
export async function writeBackup(engine: Engine, { toFile, clock }: { toFile: string; clock: Clock }): Promise<void> {
  const draft = `${toFile}.${newId('tmp')}`
  try {
    await using file = await open(draft, 'wx', 0o600)
    await engine.snapshot((tx) => writeTables(tx, { file, engine, clock }))
    await file.sync()
    await rename(draft, toFile)
  } catch (error) {
    await rm(draft, { force: true })
    throw whileDoing(`write the backup ${toFile}`, error)
  }
}

/** The tables there are with their columns, without `storage_migration`: the header says what has run. */
export async function listTables(tx: Transaction<AnyDatabase>, engine: Engine): Promise<TableShape[]> {
  const schema = await engine.schemaName(tx)
  const tables = await tx.introspection.getTables()
  return tables
    .filter((table) => !table.isView && table.schema === schema && table.name !== MIGRATION_TABLE)
    .map((table) => ({ table: table.name, columns: table.columns.map((column) => column.name) }))
}

type Target = { readonly file: FileHandle; readonly engine: Engine; readonly clock: Clock }

async function writeTables(tx: Transaction<AnyDatabase>, { file, engine, clock }: Target): Promise<void> {
  const migrations = await sql<{ key: string }>`select key from storage_migration order by key`.execute(tx)
  const keys = migrations.rows.map((row) => row.key)
  await file.write(
    formatLine({ kind: 'gatehouse-backup', version: 1, at: clock.now(), engine: engine.name, migrations: keys }),
  )
  let rows = 0
  for (const shape of await listTables(tx, engine)) rows += await writeTable(tx, shape, file)
  await file.write(formatLine({ kind: 'end', rows }))
}

async function writeTable(tx: Transaction<AnyDatabase>, shape: TableShape, file: FileHandle): Promise<number> {
  const { table, columns } = shape
  await file.write(formatLine({ kind: 'table', table, columns: [...columns] }))
  let rows = 0
  let text = ''
  for await (const row of tx.selectFrom(table).selectAll().stream(ROWS_AT_ONCE)) {
    text += formatRow(columns.map((column) => row[column] ?? null))
    if (++rows % ROWS_AT_ONCE > 0) continue
    await file.write(text)
    text = ''
  }
  await file.write(text)
  return rows
}
