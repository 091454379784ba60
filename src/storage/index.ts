/**
 * Where the house keeps things. One database of one of two engines behind one contract: SQLite, embedded, for one
 * process, and Postgres for several replicas. A room brings its migrations and its own table types, and writes its
 * queries once, with Kysely.
 *
 *     const storage = await openStorage({ url: 'sqlite:./data/gatehouse.db', dataDir: './data', migrations })
 *     const rows = await storage.tables<AuditTables>().selectFrom('audit_record').selectAll().execute()
 *
 * - The portable subset: column types `text`, `bigint`, `double precision` and `bytea` (all four work on both
 *   engines); ids are text, times integer milliseconds, booleans 0 and 1, JSON is text. Integers come back as
 *   numbers, so they stay within ±2^53. Text holds no NUL character. Inside a transaction every query takes `tx`.
 * - `appendRows` is the cheap, durable way for rows that only come in (the audit): one commit per batch.
 * - `changes` tells all replicas that something changed. Listeners read anew; a payload is a hint, and `''` means
 *   "something may have been missed".
 * - `sqlite/` keeps its one connection in a worker thread (`worker.ts`), so no query stops the event loop;
 *   `postgres/` is a pool, and one more connection that listens.
 * - `InStep` is how a room keeps what it holds in memory in step with what is stored, on every replica; `Live` is that
 *   for what is made of a config file and the store together.
 * - A backup is a text file that either engine restores, so it is also the way from SQLite to Postgres.
 *
 * Tests of other rooms use `testing.ts`, which opens a fresh database of each engine.
 */
export type { ChangeBus, Migrations, SharedTransaction, Storage, StoredValue } from './contract.ts'
export type { StorageEvent } from './engine.ts'
export { InStep } from './in-step.ts'
export { Live } from './live.ts'
export { openStorage } from './open.ts'
export { restoreStorage } from './restore.ts'
export { isDuplicate } from './errors.ts'
export { BAD_BACKUP, BAD_STORAGE_URL, CHANGE_TOO_LARGE, NEWER_DATABASE, NOT_EMPTY } from './problems.ts'
