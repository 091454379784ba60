import { sql } from 'kysely'
import type { Migrations } from '#storage'

export const HOOKS_MIGRATIONS: Migrations = {
  '2026-11-25_policy_hook': {
    async up(db) {
      await sql`create table policy_hook (
        name text primary key, config text not null, created_at bigint not null, created_by text)`.execute(db)
    },
  },
}
