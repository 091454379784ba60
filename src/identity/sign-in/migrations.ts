import { sql } from 'kysely'
import type { Migrations } from '#storage'

export const SIGN_IN_MIGRATIONS: Migrations = {
  '2026-11-25_identity_sign_in': {
    async up(db) {
      await sql`create table identity_guess (
        bucket text primary key, failures bigint not null, last_at bigint not null,
        blocked_until bigint not null)`.execute(db)
      await sql`create index identity_guess_last on identity_guess (last_at)`.execute(db)
      await sql`create table identity_session (
        id text primary key, token_hash text not null unique, account_id text not null, factor text not null,
        signed_in_at bigint not null, last_seen_at bigint not null, expires_at bigint not null, ended_at bigint,
        address text not null, agent text not null)`.execute(db)
      await sql`create index identity_session_account on identity_session (account_id)`.execute(db)
      await sql`create table identity_link (
        token_hash text primary key, account_id text not null, is_first_admin bigint not null,
        created_at bigint not null, expires_at bigint not null, used_at bigint)`.execute(db)
      await sql`create index identity_link_account on identity_link (account_id)`.execute(db)
    },
  },
}
