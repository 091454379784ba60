import { sql } from 'kysely'
import type { Migrations } from '#storage'
import { FACTOR_MIGRATIONS } from './factors/migrations.ts'
import { SIGN_IN_MIGRATIONS } from './sign-in/migrations.ts'

export const IDENTITY_MIGRATIONS: Migrations = {
  ...SIGN_IN_MIGRATIONS,
  '2026-02-10_identity_key': {
    async up(db) {
      await sql`create table identity_key (
        id text primary key, hash text not null unique, user_id text, gateways text not null, role text not null,
        name text, created_at bigint not null, expires_at bigint, revoked_at bigint, last_used_at bigint)`.execute(db)
      await sql`create index identity_key_user on identity_key (user_id, id)`.execute(db)
    },
  },
  '2026-11-25_identity_account': {
    async up(db) {
      await sql`create table identity_account (
        id text primary key, user_id text not null unique, folded_user_id text not null unique, kind text not null,
        role text, name text, email text, claims text not null, source text not null, external_id text,
        is_active bigint not null, created_at bigint not null, changed_at bigint not null, removed_at bigint)`.execute(
        db,
      )
      await sql`create table identity_group (
        id text primary key, name text not null unique, source text not null, external_id text,
        created_at bigint not null)`.execute(db)
      await sql`create table identity_membership (
        group_id text not null, account_id text not null, source text not null,
        primary key (group_id, account_id, source))`.execute(db)
      await sql`create index identity_membership_account on identity_membership (account_id)`.execute(db)
    },
  },
  '2026-11-25_identity_password': {
    async up(db) {
      await sql`create table identity_password (
        account_id text primary key, hash text not null, set_at bigint not null)`.execute(db)
    },
  },
  ...FACTOR_MIGRATIONS,
  '2026-11-26_identity_key_expiry': {
    async up(db) {
      await sql`alter table identity_key add column warned_at bigint`.execute(db)
      await sql`create index identity_key_expiry on identity_key (expires_at)`.execute(db)
    },
  },
  '2026-11-25_identity_scim': {
    async up(db) {
      await sql`alter table identity_account add column given_name text`.execute(db)
      await sql`alter table identity_account add column family_name text`.execute(db)
      await sql`create index identity_account_source on identity_account (source, id)`.execute(db)
    },
  },
  '2026-11-26_identity_version': {
    async up(db) {
      await sql`alter table identity_account add column version bigint not null default 1`.execute(db)
      await sql`alter table identity_group add column version bigint not null default 1`.execute(db)
    },
  },
  '2026-11-26_identity_said_until': {
    async up(db) {
      await sql`alter table identity_account add column claims_until bigint`.execute(db)
      await sql`alter table identity_membership add column until bigint`.execute(db)
      // What upstream sources said before: when nobody signs in again, for as long as it counts by default.
      await sql`update identity_account set claims_until = changed_at + 2592000000 where claims <> '{}'`.execute(db)
      await sql`update identity_membership set until = (select changed_at + 2592000000 from identity_account
        where id = account_id) where source <> 'local' and source not like 'scim:%'`.execute(db)
    },
  },
}
