import { sql } from 'kysely'
import type { Migrations } from '#storage'

export const OAUTH_MIGRATIONS: Migrations = {
  '2026-11-25_oauth': {
    async up(db) {
      await sql`create table oauth_record (
        model text not null, id text not null, grant_ref text, uid_ref text, code_ref text, account_id text,
        payload bytea not null, consumed_at bigint, expires_at bigint, created_at bigint not null,
        primary key (model, id))`.execute(db)
      await sql`create index oauth_record_grant on oauth_record (grant_ref)`.execute(db)
      await sql`create index oauth_record_uid on oauth_record (uid_ref)`.execute(db)
      await sql`create index oauth_record_code on oauth_record (code_ref)`.execute(db)
      await sql`create index oauth_record_account on oauth_record (account_id)`.execute(db)
      await sql`create index oauth_record_expiry on oauth_record (expires_at)`.execute(db)
      await sql`create table oauth_key (
        kid text primary key, alg text not null, slot text not null unique, private_key bytea not null,
        created_at bigint not null)`.execute(db)
      await sql`create table oauth_ended_grant (grant_id text primary key, ended_at bigint not null)`.execute(db)
      await sql`create table oauth_replay (
        token_ref text primary key, answer bytea, begun_at bigint not null)`.execute(db)
    },
  },
  '2026-11-26_oauth_notice': {
    async up(db) {
      await sql`create table oauth_notice (
        id text primary key, account_id text not null, client_name text not null, reused text not null,
        address text not null, at bigint not null)`.execute(db)
      await sql`create index oauth_notice_account on oauth_notice (account_id)`.execute(db)
    },
  },
  '2026-11-26_oauth_answered': {
    async up(db) {
      await sql`alter table oauth_record add column answered_at bigint`.execute(db)
    },
  },
  '2026-11-26_oauth_client': {
    async up(db) {
      await sql`alter table oauth_record add column client_ref text`.execute(db)
      await sql`create index oauth_record_client on oauth_record (client_ref)`.execute(db)
      await sql`create table oauth_client (
        client_id text primary key, record_id text not null unique, origin text not null, name text not null,
        account_id text, facts text not null, created_at bigint not null, last_used_at bigint)`.execute(db)
      await sql`create index oauth_client_age on oauth_client (created_at, client_id)`.execute(db)
    },
  },
  // Whatever had ended by then was kept under its plain id, for tokens of ten minutes.
  '2026-11-26_oauth_ended': {
    async up(db) {
      await sql`drop table oauth_ended_grant`.execute(db)
      await sql`create table oauth_ended (ref text primary key, ended_at bigint not null)`.execute(db)
      await sql`create index oauth_ended_at on oauth_ended (ended_at)`.execute(db)
    },
  },
  '2026-11-26_oauth_client_rights': {
    async up(db) {
      await sql`alter table oauth_client add column rights text`.execute(db)
    },
  },
  '2026-11-26_oauth_key_rotation': {
    async up(db) {
      await sql`alter table oauth_key add column signs_at bigint not null default 0`.execute(db)
      await sql`update oauth_key set signs_at = created_at`.execute(db)
    },
  },
}
