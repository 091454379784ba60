import { sql } from 'kysely'
import type { Migrations } from '#storage'

export const LOGIN_MIGRATIONS: Migrations = {
  // Each change is a new version of all rules, so two who change at once cannot both make the next one.
  '2026-11-25_login_policy': {
    async up(db) {
      await sql`create table login_policy (
        version bigint primary key, at bigint not null, changed_by text, change text not null, rules text not null)`.execute(
        db,
      )
    },
  },
}
