import type { Kysely, Transaction } from 'kysely'
import type { ChangeBus, Storage, StoredValue } from './contract.ts'

/** A database without tables of its own: each query names the ones it needs. */
export type AnyDatabase = Record<string, Record<string, StoredValue>>

/** What a storage does differently on each engine; everything else is written once above it. */
export type Engine = {
  readonly name: Storage['engine']
  readonly db: Kysely<AnyDatabase>
  readonly changes: ChangeBus
  readonly appendRows: Storage['appendRows']
  /** Runs migrations or a restore without the deadlines of ordinary queries; no other process does so meanwhile. */
  alone<T>(work: (tx: Transaction<AnyDatabase>) => Promise<T>): Promise<T>
  /** Reads one unchanging state of the database while others write. */
  snapshot<T>(read: (tx: Transaction<AnyDatabase>) => Promise<T>): Promise<T>
  /** Lets rows come in any order; foreign keys hold again at the latest when the transaction ends. */
  whileLoading(tx: Transaction<AnyDatabase>, load: () => Promise<void>): Promise<void>
  /** Where the house's tables are; SQLite has no schemas. */
  schemaName(tx: Transaction<AnyDatabase>): Promise<string | undefined>
  close(): Promise<void>
}

/** Things worth a line in the log. `error` never holds a password or a connection string. */
export type StorageEvent =
  | { readonly kind: 'migrated'; readonly key: string }
  | { readonly kind: 'listener-failed'; readonly topic: string; readonly error: unknown }
  | { readonly kind: 'connection-lost'; readonly error: unknown }
  | { readonly kind: 'connection-restored' }

export type StorageLog = (event: StorageEvent) => void
