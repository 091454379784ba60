import pg from 'pg'
import type { StorageLog } from '../engine.ts'

const CONNECT_DEADLINE_MS = 5_000
const QUERY_DEADLINE_MS = 60_000
const MAX_CONNECTIONS = 10
const INT8 = 20
const NUMERIC = 1700

export type PoolOptions = { readonly log: StorageLog; readonly isPatient: boolean }

/** How every connection is made; `bigint` and sums come back as numbers, as they do from SQLite. */
export function connectionConfig(url: string): pg.ClientConfig {
  return {
    connectionString: url,
    application_name: 'gatehouse',
    connectionTimeoutMillis: CONNECT_DEADLINE_MS,
    keepAlive: true,
    types: { getTypeParser: parserOf },
  }
}

/** `isPatient` is for migrations, backups and restores: no deadline for a query, few connections, soon given back. */
export function createPool(url: string, { log, isPatient }: PoolOptions): pg.Pool {
  const limits = isPatient
    ? { max: 2, idleTimeoutMillis: 1_000 }
    : { max: MAX_CONNECTIONS, query_timeout: QUERY_DEADLINE_MS, statement_timeout: QUERY_DEADLINE_MS }
  const pool = new pg.Pool({ ...connectionConfig(url), ...limits })
  pool.on('error', (error) => log({ kind: 'connection-lost', error }))
  // A connection that ends between two queries of a transaction has no other listener; the next query rejects.
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}

/** True when the connection itself is of no more use: anything but the database's answer to the query. */
export function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError)) return true
  return error.code === undefined || error.code.startsWith('08') || error.code.startsWith('57P')
}

function parserOf(oid: number, format?: 'text' | 'binary'): (value: string) => unknown {
  if (oid === INT8 || oid === NUMERIC) return Number
  return pg.types.getTypeParser(oid, format === 'binary' ? 'text' : 'text')
}
