import { sql } from 'kysely'
import type { Migrations } from '#storage'

export const SIGNIN_MIGRATIONS: Migrations = {
  '2026-11-25_signin_link': {
    async up(db) {
      await sql`create table signin_link (
        issuer text not null, subject text not null, account_id text not null, source text not null,
        linked_at bigint not null, primary key (issuer, subject))`.execute(db)
      await sql`create index signin_link_account on signin_link (account_id)`.execute(db)
    },
  },
}
