import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { Request, Result, Row, WorkerStart } from './messages.ts'

type Prepared = { readonly statement: StatementSync; readonly returnsRows: boolean }

const MAX_PREPARED = 256
const BUSY_TIMEOUT_MS = 10_000
const NOTHING: Result = { rows: [] }

/** One open connection with its prepared statements. Synchronous: lives in the worker only. */
export class SqliteFile {
  readonly #database: DatabaseSync
  readonly #prepared = new Map<string, Prepared>()
  #cursor: Iterator<Row> | undefined

  constructor(start: WorkerStart) {
    this.#database = new DatabaseSync(start.file, { timeout: BUSY_TIMEOUT_MS, enableForeignKeyConstraints: true })
    this.#database.exec('pragma journal_mode = wal')
    this.#database.exec(`pragma synchronous = ${start.durability === 'power' ? 'full' : 'normal'}`)
  }

  perform(request: Request): Result {
    switch (request.kind) {
      case 'query':
        return this.#query(request)
      case 'append':
        return this.#append(request)
      case 'rollback':
        return this.#rollback()
      case 'open-cursor':
        return this.#openCursor(request)
      case 'fetch':
        return { rows: this.#fetch(request.max) }
      case 'close-cursor':
        this.#cursor?.return?.()
        this.#cursor = undefined
        return NOTHING
      case 'close':
        this.#database.close()
        return NOTHING
    }
  }

  #query({ sql, parameters }: Extract<Request, { kind: 'query' }>): Result {
    const { statement, returnsRows } = this.#prepare(sql)
    if (returnsRows) return { rows: statement.all(...parameters) }
    const { changes, lastInsertRowid } = statement.run(...parameters)
    return { rows: [], changed: Number(changes), insertId: Number(lastInsertRowid) }
  }

  #append({ sql, rows }: Extract<Request, { kind: 'append' }>): Result {
    const { statement } = this.#prepare(sql)
    this.#database.exec('begin immediate')
    try {
      for (const row of rows) statement.run(...row)
      this.#database.exec('commit')
    } catch (error) {
      this.#rollback()
      throw error
    }
    return NOTHING
  }

  /** SQLite rolls back by itself on some errors (a full disk), so there may be nothing left to do. */
  #rollback(): Result {
    if (this.#database.isTransaction) this.#database.exec('rollback')
    return NOTHING
  }

  #openCursor({ sql, parameters }: Extract<Request, { kind: 'open-cursor' }>): Result {
    if (this.#cursor) throw new Error('another stream is being read on this connection')
    this.#cursor = this.#database.prepare(sql).iterate(...parameters)
    return NOTHING
  }

  #fetch(max: number): Row[] {
    const rows: Row[] = []
    while (this.#cursor && rows.length < max) {
      const next = this.#cursor.next()
      if (next.done) break
      rows.push(next.value)
    }
    return rows
  }

  #prepare(sql: string): Prepared {
    const known = this.#prepared.get(sql)
    if (known) return known
    const statement = this.#database.prepare(sql)
    const prepared = { statement, returnsRows: statement.columns().length > 0 }
    const oldest = this.#prepared.size >= MAX_PREPARED ? this.#prepared.keys().next().value : undefined
    if (oldest !== undefined) this.#prepared.delete(oldest)
    this.#prepared.set(sql, prepared)
    return prepared
  }
}
