import { sql } from 'kysely'
import type { Migrations } from '#storage'

/** Every version of every rule stays, so that an audit record that names one can still be understood. */
export const CONTENT_MIGRATIONS: Migrations = {
  '2026-11-25_content_rule': {
    async up(db) {
      await sql`create table content_rule (
        id text not null, version bigint not null, name text not null, rule text not null, is_current bigint not null,
        changed_at bigint not null, changed_by text, primary key (id, version))`.execute(db)
      await sql`create unique index content_rule_current on content_rule (name) where is_current = 1`.execute(db)
    },
  },
}
