/** For tests only: the tables of a small room, with a foreign key. */
import type { Migrations } from './contract.ts'

export type NoteTables = {
  note: { id: string; at: number; weight: number | null; body: Uint8Array | null }
  remark: { id: string; note_id: string; text: string }
}

export const noteMigrations: Migrations = {
  '2026-02-01_note': {
    async up(db) {
      await db.schema
        .createTable('note')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('at', 'bigint', (column) => column.notNull())
        .addColumn('weight', 'double precision')
        .addColumn('body', 'bytea')
        .execute()
      await db.insertInto('note').values({ id: 'seed', at: 0 }).execute()
    },
  },
  '2026-02-02_remark': {
    async up(db) {
      await db.schema
        .createTable('remark')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('note_id', 'text', (column) => column.notNull().references('note.id'))
        .addColumn('text', 'text', (column) => column.notNull())
        .execute()
      await db.schema.createIndex('remark_note_id').on('remark').column('note_id').execute()
    },
  },
}
