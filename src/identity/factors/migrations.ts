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
}
