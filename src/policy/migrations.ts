import { sql } from 'kysely'
import type { Migrations } from '#storage'
import { HOOKS_MIGRATIONS } from './hooks/migrations.ts'

export const POLICY_MIGRATIONS: Migrations = {
  ...HOOKS_MIGRATIONS,
  '2026-11-25_policy_grant': {
    async up(db) {
      await sql`create table policy_grant (
        id text primary key, subject_kind text not null, subject_id text not null, gateway text, tools text not null,
        prompts text, resources text, only_kind text, note text, created_at bigint not null, created_by text,
        expires_at bigint)`.execute(db)
      await sql`create index policy_grant_subject on policy_grant (subject_id, id)`.execute(db)
    },
  },
  // Gateways that say nothing of their access and have been granted once: default deny, also when nothing is left.
  '2026-11-25_policy_granted': {
    async up(db) {
      await sql`create table policy_granted (gateway text primary key, since bigint not null)`.execute(db)
    },
  },
  '2026-11-25_policy_version': {
    async up(db) {
      await sql`create table policy_version (
        version bigint primary key, text text not null, note text, created_at bigint not null, created_by text)`.execute(
        db,
      )
      await sql`create table policy_activation (id text primary key, version bigint, at bigint not null)`.execute(db)
      await sql`create table policy_shadow (name text primary key, version bigint not null)`.execute(db)
    },
  },
}
