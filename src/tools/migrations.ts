import type { Migrations } from '#storage'
import type { Kysely } from 'kysely'

/** The tables of the tools room. Definitions are kept as the server wrote them; `fingerprint` is over what a model reads. */
export const toolsMigrations: Migrations = {
  '2026-11-21_tools_tables': {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable('tools_server')
        .addColumn('name', 'text', (c) => c.primaryKey())
        .addColumn('sealed_config', 'text', (c) => c.notNull())
        .addColumn('created_at', 'bigint', (c) => c.notNull())
        .execute()
      await db.schema
        .createTable('tools_gateway')
        .addColumn('slug', 'text', (c) => c.primaryKey())
        .addColumn('config', 'text', (c) => c.notNull())
        .addColumn('created_at', 'bigint', (c) => c.notNull())
        .execute()
      await db.schema
        .createTable('tools_offer')
        .addColumn('server', 'text', (c) => c.primaryKey())
        .addColumn('rest', 'text', (c) => c.notNull())
        .addColumn('offered_at', 'bigint', (c) => c.notNull())
        .execute()
      await db.schema
        .createTable('tools_definition')
        .addColumn('server', 'text', (c) => c.notNull())
        .addColumn('name', 'text', (c) => c.notNull())
        .addColumn('definition', 'text', (c) => c.notNull())
        .addColumn('fingerprint', 'text', (c) => c.notNull())
        .addColumn('state', 'text', (c) => c.notNull())
        .addColumn('seen_at', 'bigint', (c) => c.notNull())
        .addPrimaryKeyConstraint('tools_definition_key', ['server', 'name'])
        .execute()
      await db.schema
        .createTable('tools_change')
        .addColumn('id', 'text', (c) => c.primaryKey())
        .addColumn('server', 'text', (c) => c.notNull())
        .addColumn('name', 'text', (c) => c.notNull())
        .addColumn('kind', 'text', (c) => c.notNull())
        .addColumn('state', 'text', (c) => c.notNull())
        .addColumn('diff', 'text', (c) => c.notNull())
        .addColumn('definition', 'text')
        .addColumn('fingerprint', 'text')
        .addColumn('at', 'bigint', (c) => c.notNull())
        .addColumn('decided_at', 'bigint')
        .addColumn('decided_by', 'text')
        .execute()
      await db.schema
        .createIndex('tools_change_server')
        .on('tools_change')
        .columns(['server', 'name', 'state'])
        .execute()
      await db.schema
        .createTable('tools_name')
        .addColumn('gateway', 'text', (c) => c.notNull())
        .addColumn('kind', 'text', (c) => c.notNull())
        .addColumn('server', 'text', (c) => c.notNull())
        .addColumn('original', 'text', (c) => c.notNull())
        .addColumn('name', 'text', (c) => c.notNull())
        .addPrimaryKeyConstraint('tools_name_key', ['gateway', 'kind', 'server', 'original'])
        .execute()
    },
  },
  '2026-11-21_tools_once': {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable('tools_once')
        .addColumn('key', 'text', (c) => c.primaryKey())
        .addColumn('request_hash', 'text', (c) => c.notNull())
        .addColumn('replica', 'text', (c) => c.notNull())
        .addColumn('state', 'text', (c) => c.notNull())
        .addColumn('outcome', 'text')
        .addColumn('started_at', 'bigint', (c) => c.notNull())
        .addColumn('expires_at', 'bigint', (c) => c.notNull())
        .execute()
      await db.schema.createIndex('tools_once_expires').on('tools_once').column('expires_at').execute()
    },
  },
  '2026-11-22_tools_once_owner': {
    async up(db: Kysely<unknown>) {
      await db.schema
        .alterTable('tools_once')
        .addColumn('owner', 'text', (c) => c.notNull().defaultTo(''))
        .execute()
      await db.schema
        .alterTable('tools_once')
        .addColumn('bytes', 'bigint', (c) => c.notNull().defaultTo(0))
        .execute()
      await db.schema.createIndex('tools_once_owner').on('tools_once').columns(['owner', 'started_at']).execute()
    },
  },
  '2026-11-26_tools_held': {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable('tools_held')
        .addColumn('id', 'text', (c) => c.primaryKey())
        .addColumn('state', 'text', (c) => c.notNull())
        .addColumn('request', 'text', (c) => c.notNull())
        .addColumn('outcome', 'text')
        .addColumn('replica', 'text')
        .addColumn('created_at', 'bigint', (c) => c.notNull())
        .addColumn('updated_at', 'bigint', (c) => c.notNull())
        .addColumn('expires_at', 'bigint', (c) => c.notNull())
        .execute()
      await db.schema.createIndex('tools_held_expires').on('tools_held').column('expires_at').execute()
    },
  },
}
