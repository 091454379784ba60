import type { Pool, PoolClient } from 'pg'
import {
  CompiledQuery,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type DatabaseConnection,
  type DatabaseIntrospector,
  type Dialect,
  type Driver,
  type Kysely,
  type QueryResult,
  type TransactionSettings,
} from 'kysely'
import { nameOfQuery, whileDoing } from '../errors.ts'
import { isConnectionLost } from './pool.ts'

const WRITES: ReadonlySet<string> = new Set(['INSERT', 'UPDATE', 'DELETE', 'MERGE'])

/**
 * Lets Kysely speak to a `pg` pool. Beside Kysely's own it says in each error what was being done, gives up
 * connections that are lost, and streams without another package.
 */
export class PostgresPoolDialect implements Dialect {
  readonly #pool: Pool

  constructor(pool: Pool) {
    this.#pool = pool
  }

  createDriver(): Driver {
    return new PostgresPoolDriver(this.#pool)
  }

  createQueryCompiler(): PostgresQueryCompiler {
    return new PostgresQueryCompiler()
  }

  createAdapter(): PostgresAdapter {
    return new PostgresAdapter()
  }

  createIntrospector(db: Kysely<unknown>): DatabaseIntrospector {
    return new PostgresIntrospector(db)
  }
}

class PostgresPoolDriver implements Driver {
  readonly #pool: Pool
  readonly #connections = new WeakMap<DatabaseConnection, PostgresPoolConnection>()

  constructor(pool: Pool) {
    this.#pool = pool
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    const client = await this.#pool.connect().catch((error: unknown) => {
      throw whileDoing('connect to Postgres', error)
    })
    const connection = new PostgresPoolConnection(client)
    this.#connections.set(connection, connection)
    return connection
  }

  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    this.#connections.get(connection)?.release()
  }

  async beginTransaction(connection: DatabaseConnection, settings: TransactionSettings): Promise<void> {
    const isolation = settings.isolationLevel ? ` isolation level ${settings.isolationLevel}` : ''
    const access = settings.accessMode ? ` ${settings.accessMode}` : ''
    await connection.executeQuery(CompiledQuery.raw(`start transaction${isolation}${access}`))
  }

  /** Postgres answers a commit after a failed statement with ROLLBACK, not with an error. */
  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    const command = await this.#connections.get(connection)?.end('commit')
    if (command !== 'COMMIT') throw new Error('could not commit on Postgres: a query of the transaction had failed')
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await this.#connections.get(connection)?.end('rollback')
  }

  /** The pool belongs to whoever opened it. */
  async destroy(): Promise<void> {}
}

class PostgresPoolConnection implements DatabaseConnection {
  readonly #client: PoolClient
  #isLost = false

  constructor(client: PoolClient) {
    this.#client = client
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const result = await this.#query(sql, parameters)
    const affected = WRITES.has(result.command) ? { numAffectedRows: BigInt(result.rowCount ?? 0) } : {}
    return { rows: result.rows, ...affected }
  }

  /** Only inside a transaction, and one stream at a time: the cursor lives in it. */
  async *streamQuery<R>({ sql, parameters }: CompiledQuery, chunkSize: number): AsyncIterableIterator<QueryResult<R>> {
    await this.#query(`declare storage_stream no scroll cursor for ${sql}`, parameters)
    try {
      for (;;) {
        const { rows } = await this.#query(`fetch ${Math.trunc(chunkSize)} from storage_stream`, [])
        if (rows.length > 0) yield { rows }
        if (rows.length < chunkSize) return
      }
    } finally {
      if (!this.#isLost) await this.#query('close storage_stream', [])
    }
  }

  /** Ends the transaction and tells which way it ended. */
  async end(command: 'commit' | 'rollback'): Promise<string> {
    return (await this.#query(command, [])).command
  }

  release(): void {
    this.#client.release(this.#isLost)
  }

  async #query(sql: string, parameters: readonly unknown[]) {
    try {
      return await this.#client.query(sql, [...parameters])
    } catch (error) {
      this.#isLost ||= isConnectionLost(error)
      throw whileDoing(`run "${nameOfQuery(sql)}" on Postgres`, error)
    }
  }
}
