import { open } from 'node:fs/promises'
import { CompiledQuery, sql, type Transaction } from 'kysely'
import { Problem, systemClock, type Clock } from '#kernel'
import { badBackup, parseLine, type BackupLine, type BackupRow } from './backup-format.ts'
import { listTables } from './backup.ts'
import type { Migrations } from './contract.ts'
import type { AnyDatabase, Engine, StorageLog, TableShape } from './engine.ts'
import { whileDoing } from './errors.ts'
import { planMigrations, readApplied, runMigrations, type MigrateDeps } from './migrate.ts'
import { openEngine } from './open.ts'
import { NOT_EMPTY } from './problems.ts'
import { quoted } from './quoted.ts'

export type RestoreOptions = {
  readonly url: string
  readonly fromFile: string
  readonly migrations: Migrations
  readonly clock?: Clock
  readonly log?: StorageLog
}

const VALUES_AT_ONCE = 5_000
const MAX_ROWS_AT_ONCE = 200

/**
 * Fills an empty database of either engine from a backup of either, and brings it to this version. All or nothing.
 * Refuses (`Problem`) a database that has tables, a harmed file, and a backup of a newer version.
 */
export async function restoreStorage(options: RestoreOptions): Promise<void> {
  const { clock = systemClock, log = () => {}, migrations } = options
  const engine = await openEngine(options)
  try {
    await engine.alone((tx) => restoreAll(tx, { engine, fromFile: options.fromFile, deps: { migrations, clock, log } }))
  } catch (error) {
    throw whileDoing(`restore the backup ${options.fromFile}`, error)
  } finally {
    await engine.close()
  }
}

type Restoring = { readonly engine: Engine; readonly fromFile: string; readonly deps: MigrateDeps }

async function restoreAll(tx: Transaction<AnyDatabase>, { engine, fromFile, deps }: Restoring): Promise<void> {
  await refuseTables(tx, engine)
  await using file = await open(fromFile)
  const lines = readLines(file.readLines())
  const first = (await lines.next()).value
  if (first?.kind !== 'gatehouse-backup') throw badBackup('it does not begin with the header of a backup')
  planMigrations(deps.migrations, new Set(first.migrations))
  await runMigrations(tx, first.migrations, deps)
  await engine.whileLoading(tx, async () => {
    const shapes = await listTables(tx, engine)
    // Migrations may have put rows in; the backup has them as they were left.
    for (const { table } of shapes) await sql`delete from ${sql.table(table)}`.execute(tx)
    await loadTables(new Loader(tx, engine, shapes), lines)
  })
  await runMigrations(tx, planMigrations(deps.migrations, await readApplied(tx)), deps)
}

async function refuseTables(tx: Transaction<AnyDatabase>, engine: Engine): Promise<void> {
  const names = (await listTables(tx, engine)).map((shape) => shape.table)
  if (names.length === 0) return
  throw new Problem(
    NOT_EMPTY,
    `The database already has ${names.length} tables (${names.slice(0, 5).join(', ')}); restore into a new file or database.`,
  )
}

async function* readLines(texts: AsyncIterable<string>): AsyncGenerator<BackupLine, undefined> {
  let number = 0
  for await (const text of texts) yield parseLine(text, ++number)
}

async function loadTables(loader: Loader, lines: AsyncIterable<BackupLine>): Promise<void> {
  let isComplete = false
  for await (const line of lines) {
    if (isComplete) throw badBackup('it goes on after its last line')
    switch (line.kind) {
      case 'table':
        await loader.startTable(line)
        break
      case 'row':
        await loader.add(line.row)
        break
      case 'end':
        await loader.finish(line.rows)
        isComplete = true
        break
      case 'gatehouse-backup':
        throw badBackup('it has two headers')
    }
  }
  if (!isComplete) throw badBackup('its end is missing; the file was cut short')
}

/** Collects rows and stores them in batches. */
class Loader {
  readonly #tx: Transaction<AnyDatabase>
  readonly #engine: Engine
  readonly #shapes: readonly TableShape[]
  #current: TableShape | undefined
  #batch: BackupRow[] = []
  #rows = 0

  constructor(tx: Transaction<AnyDatabase>, engine: Engine, shapes: readonly TableShape[]) {
    this.#tx = tx
    this.#engine = engine
    this.#shapes = shapes
  }

  /** The names become SQL text, so only those the migrations have made are taken. */
  async startTable({ table, columns }: TableShape): Promise<void> {
    await this.#flush()
    const shape = this.#shapes.find((known) => known.table === table)
    const unknown = columns.find((column) => !shape?.columns.includes(column))
    if (!shape || unknown !== undefined)
      throw badBackup(`it has the table ${table} with the column ${unknown}, which its migrations do not make`)
    this.#current = { table, columns }
  }

  async add(row: BackupRow): Promise<void> {
    const columns = this.#current?.columns.length ?? 0
    if (row.length !== columns)
      throw badBackup(`a row of ${this.#current?.table ?? 'no table'} has ${row.length} values`)
    this.#batch.push(row)
    this.#rows++
    if (this.#batch.length >= MAX_ROWS_AT_ONCE || this.#batch.length * columns >= VALUES_AT_ONCE) await this.#flush()
  }

  async finish(rows: number): Promise<void> {
    await this.#flush()
    if (rows !== this.#rows) throw badBackup(`it has ${this.#rows} rows and its last line says ${rows}`)
  }

  async #flush(): Promise<void> {
    const batch = this.#batch
    if (!this.#current || batch.length === 0) return
    this.#batch = []
    await this.#tx.executeQuery(CompiledQuery.raw(insertText(this.#current, batch.length, this.#engine), batch.flat()))
  }
}

function insertText({ table, columns }: TableShape, rows: number, engine: Engine): string {
  const mark = engine.name === 'sqlite' ? '?' : '$'
  const names = columns.map(quoted).join(', ')
  const tuples = Array.from({ length: rows }, (_, row) => {
    const marks = columns.map((_column, index) => `${mark}${row * columns.length + index + 1}`)
    return `(${marks.join(', ')})`
  })
  return `insert into ${quoted(table)} (${names}) values ${tuples.join(', ')}`
}
