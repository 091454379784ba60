import { sql } from 'kysely'
import type { Migrations } from '#storage'

export const IDENTITY_MIGRATIONS: Migrations = {
  '2026-02-10_identity_key': {
    async up(db) {
      await sql`create table identity_key (
        id text primary key, hash text not null unique, user_id text, gateways text not null, role text not null,
        name text, created_at bigint not null, expires_at bigint, revoked_at bigint, last_used_at bigint)`.execute(db)
      await sql`create index identity_key_user on identity_key (user_id, id)`.execute(db)
    },
  },
}
