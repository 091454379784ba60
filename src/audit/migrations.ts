import { sql } from 'kysely'
import type { Migrations } from '#storage'

/**
 * The audit trail. Rows are only ever added; the columns beside `record` are copies for searching. Each index costs
 * every call 2 to 4 µs, so server and gateway have none: there are few of them, and a search reads in steps.
 */
export const AUDIT_MIGRATIONS: Migrations = {
  '2026-02-01_audit_record': {
    async up(db) {
      await sql`create table audit_record (
        chain text not null, seq bigint not null, at bigint not null, what text not null, decision text not null,
        user_id text, gateway text, server text, tool text, trace_id text,
        record text not null, hash text not null, primary key (chain, seq))`.execute(db)
      await sql`create index audit_record_at on audit_record (at)`.execute(db)
      await sql`create index audit_record_user on audit_record (user_id, at)`.execute(db)
      await sql`create index audit_record_tool on audit_record (tool, at)`.execute(db)
      await sql`create index audit_record_trace on audit_record (trace_id) where trace_id is not null`.execute(db)
      // The many records of allowed tool calls need no index for these two; the few others are found at once.
      await sql`create index audit_record_refused on audit_record (decision, at) where decision <> 'allowed'`.execute(
        db,
      )
      await sql`create index audit_record_change on audit_record (what, at) where what <> 'tools/call'`.execute(db)
    },
  },
  '2026-02-02_audit_chain': {
    async up(db) {
      await sql`create table audit_chain (
        chain text primary key, replica text not null, started_at bigint not null)`.execute(db)
      await sql`create index audit_chain_replica on audit_chain (replica, started_at)`.execute(db)
      await sql`create table audit_checkpoint (
        chain text not null, seq bigint not null, hash text not null, at bigint not null, is_last bigint not null,
        key_id text not null, signature text not null, primary key (chain, seq, is_last))`.execute(db)
      await sql`create table audit_key (
        key_id text primary key, public_key text not null, replica text not null, created_at bigint not null)`.execute(
        db,
      )
    },
  },
  '2026-11-25_audit_payload': {
    async up(db) {
      await sql`create table audit_payload (
        chain text not null, seq bigint not null, at bigint not null, bytes bigint not null,
        sealed_key bytea not null, sealed bytea not null, primary key (chain, seq))`.execute(db)
      await sql`create index audit_payload_at on audit_payload (at)`.execute(db)
    },
  },
  '2026-11-25_audit_removal': {
    async up(db) {
      await sql`create table audit_removal (
        chain text not null, seq bigint not null, hash text not null, first_at bigint not null,
        last_at bigint not null, previous text, at bigint not null, key_id text not null, signature text not null,
        primary key (chain, seq))`.execute(db)
      await sql`create table audit_duty (name text primary key, replica text not null, until_at bigint not null)`.execute(
        db,
      )
    },
  },
  '2026-11-25_audit_sending': {
    async up(db) {
      await sql`create table audit_forwarded (chain text primary key, seq bigint not null)`.execute(db)
    },
  },
}
