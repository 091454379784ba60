import { sql } from 'kysely'
import type { Migrations } from './contract.ts'

/** The room's own table; `storage_migration` itself is made before the first migration. */
export const STORAGE_MIGRATIONS: Migrations = {
  '2026-01-01_storage_secret': {
    async up(db) {
      await sql`create table storage_secret (name text primary key, value text not null)`.execute(db)
    },
  },
}
