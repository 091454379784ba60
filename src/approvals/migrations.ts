import { sql } from 'kysely'
import type { Migrations } from '#storage'

export const APPROVALS_MIGRATIONS: Migrations = {
  '2026-11-25_approval': {
    async up(db) {
      await sql`create table approval (
        id text primary key, state text not null, binding text not null, sealed text not null, user_id text not null,
        gateway text not null, server text not null, tool text not null, rule text not null, note text,
        created_at bigint not null, expires_at bigint not null, answered_at bigint, answered_by text,
        answered_via text, used_at bigint, round bigint not null)`.execute(db)
      await sql`create unique index approval_pending on approval (binding) where state = 'pending'`.execute(db)
      await sql`create index approval_binding on approval (binding, id)`.execute(db)
      await sql`create index approval_state on approval (state, expires_at)`.execute(db)
      await sql`create index approval_user on approval (user_id, state)`.execute(db)
      await sql`create table approval_link (
        token_hash text primary key, approval text not null, expires_at bigint not null)`.execute(db)
      await sql`create index approval_link_approval on approval_link (approval)`.execute(db)
    },
  },
}
