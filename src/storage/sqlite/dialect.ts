import {
  CompiledQuery,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type DatabaseConnection,
  type DatabaseIntrospector,
  type Dialect,
  type Driver,
  type Kysely,
  type QueryResult,
  type TransactionSettings,
} from 'kysely'
import { nameOfQuery, whileDoing } from '../errors.ts'
import { toStoredValues } from '../stored-value.ts'
import type { SqliteClient } from './client.ts'
import type { Turn } from './turns.ts'

/** Lets Kysely speak to the SQLite worker. */
export class SqliteWorkerDialect implements Dialect {
  readonly #client: SqliteClient

  constructor(client: SqliteClient) {
    this.#client = client
  }

  createDriver(): Driver {
    return new SqliteWorkerDriver(this.#client)
  }

  createQueryCompiler(): SqliteQueryCompiler {
    return new SqliteQueryCompiler()
  }

  createAdapter(): SqliteAdapter {
    return new SharedConnectionAdapter()
  }

  createIntrospector(db: Kysely<unknown>): DatabaseIntrospector {
    return new SqliteIntrospector(db)
  }
}

/** The client's turns already keep queries apart, from `appendRows` too; Kysely need not queue them a second time. */
class SharedConnectionAdapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true
  }
}

class SqliteWorkerDriver implements Driver {
  readonly #client: SqliteClient
  readonly #turns = new WeakMap<DatabaseConnection, Turn>()

  constructor(client: SqliteClient) {
    this.#client = client
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    const turn = await this.#client.takeTurn()
    const connection = new SqliteWorkerConnection(this.#client)
    this.#turns.set(connection, turn)
    return connection
  }

  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    this.#turns.get(connection)?.done()
  }

  /** Takes the write lock at once: a transaction which becomes a writer half-way could not wait for another process. */
  async beginTransaction(connection: DatabaseConnection, settings: TransactionSettings): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw(settings.accessMode === 'read only' ? 'begin' : 'begin immediate'))
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('commit'))
  }

  async rollbackTransaction(): Promise<void> {
    await this.#client.ask({ kind: 'rollback' })
  }

  /** The client belongs to whoever opened it. */
  async destroy(): Promise<void> {}
}

class SqliteWorkerConnection implements DatabaseConnection {
  readonly #client: SqliteClient

  constructor(client: SqliteClient) {
    this.#client = client
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    try {
      const result = await this.#client.ask({ kind: 'query', sql, parameters: toStoredValues(parameters) })
      return toQueryResult<R>(result)
    } catch (error) {
      throw whileDoing(`run "${nameOfQuery(sql)}" on SQLite`, error)
    }
  }

  async *streamQuery<R>({ sql, parameters }: CompiledQuery, chunkSize: number): AsyncIterableIterator<QueryResult<R>> {
    await this.#client.ask({ kind: 'open-cursor', sql, parameters: toStoredValues(parameters) })
    try {
      for (;;) {
        const result = await this.#client.ask({ kind: 'fetch', max: chunkSize })
        if (result.rows.length > 0) yield toQueryResult<R>(result)
        if (result.rows.length < chunkSize) return
      }
    } finally {
      await this.#client.ask({ kind: 'close-cursor' })
    }
  }
}

function toQueryResult<R>(result: { rows: unknown[]; changed?: number; insertId?: number }): QueryResult<R> {
  return {
    // Kysely's builder has typed the row (R) from the query; the engine's answer has no type of its own.
    rows: result.rows as R[],
    ...(result.changed === undefined ? {} : { numAffectedRows: BigInt(result.changed) }),
    ...(result.insertId === undefined ? {} : { insertId: BigInt(result.insertId) }),
  }
}
