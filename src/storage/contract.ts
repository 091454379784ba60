import type { Kysely, Transaction } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Values both engines store alike. Times are integer milliseconds, JSON is text, ids are text. */
export type StoredValue = string | number | null | Uint8Array

/** A transaction as each room that takes part in it sees it. */
export type SharedTransaction = { tables<T>(): Transaction<T> }

export type Storage = {
  readonly engine: 'sqlite' | 'postgres'
  /** This process's stable name among the replicas; kept in the data directory, so it survives a restart. */
  readonly replicaId: string
  /** The database as one room sees it: `storage.tables<AuditTables>()`. */
  tables<T>(): Kysely<T>
  /** What several rooms do together, all or nothing. */
  transaction<T>(work: (tx: SharedTransaction) => Promise<T>): Promise<T>
  /**
   * Adds rows in one durable commit, much cheaper than a query a row. Resolves only when they survive `kill -9`.
   * Rejects as a whole: none or all of the rows are stored.
   */
  appendRows(table: string, columns: readonly string[], rows: readonly (readonly StoredValue[])[]): Promise<void>
  readonly changes: ChangeBus
  /** A secret shared by all replicas, made on first use: 32 random bytes per name. */
  sharedKey(name: string): Promise<Buffer>
  /** A consistent copy while the house runs: one text file (0600, it holds the shared keys) which either engine restores. */
  backup(toFile: string): Promise<void>
  close(): Promise<void>
}

/** Tells every replica, this one included, that something changed. At least once, within a second; payloads are small. */
export type ChangeBus = {
  publish(topic: string, payload?: string): Promise<void>
  subscribe(topic: string, listener: (payload: string) => void): () => void
}

/** A room's migrations: forward only, keys like `2026-11-21_audit_record`, run in the order of their keys. */
export type Migrations = Readonly<Record<string, Migration>>
