import { sql } from 'kysely'
import type { Migrations } from '#storage'

export const FACTOR_MIGRATIONS: Migrations = {
  '2026-11-25_identity_totp': {
    async up(db) {
      await sql`create table identity_totp (
        account_id text primary key, sealed text, last_step bigint, confirmed_at bigint,
        pending text, pending_at bigint)`.execute(db)
    },
  },
  '2026-11-25_identity_recovery': {
    async up(db) {
      await sql`create table identity_recovery (
        account_id text primary key, salt text not null, made_at bigint not null)`.execute(db)
      await sql`create table identity_recovery_code (
        account_id text not null, hash text not null, used_at bigint, primary key (account_id, hash))`.execute(db)
    },
  },
  '2026-11-25_identity_passkey': {
    async up(db) {
      await sql`create table identity_passkey (
        id text primary key, account_id text not null, credential_id text not null unique, public_key bytea not null,
        counter bigint not null, transports text not null, name text not null, is_backed_up bigint not null,
        created_at bigint not null, last_used_at bigint)`.execute(db)
      await sql`create index identity_passkey_account on identity_passkey (account_id, id)`.execute(db)
      await sql`create table identity_ceremony (
        id_hash text primary key, challenge_hash text not null, purpose text not null, account_id text,
        expires_at bigint not null)`.execute(db)
      await sql`create index identity_ceremony_expires on identity_ceremony (expires_at)`.execute(db)
      await sql`create index identity_ceremony_account on identity_ceremony (account_id)`.execute(db)
    },
  },
}
