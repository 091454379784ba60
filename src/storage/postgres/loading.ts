import { sql, type Transaction } from 'kysely'
import type { AnyDatabase } from '../engine.ts'

type ForeignKey = { table: string; name: string; definition: string }

/** Loads rows in any order: foreign keys are taken off before and put back, and so checked, after. Then sequences go on where the rows end. */
export async function loadWithoutForeignKeys(tx: Transaction<AnyDatabase>, load: () => Promise<void>): Promise<void> {
  const keys = await listForeignKeys(tx)
  for (const { table, name } of keys)
    await sql`alter table ${sql.raw(table)} drop constraint ${sql.id(name)}`.execute(tx)
  await load()
  for (const { table, name, definition } of keys)
    await sql`alter table ${sql.raw(table)} add constraint ${sql.id(name)} ${sql.raw(definition)}`.execute(tx)
  await advanceSequences(tx)
}

/** `regclass::text` is a quoted name, and the definition is the server's own text: both are SQL already. */
async function listForeignKeys(tx: Transaction<AnyDatabase>): Promise<ForeignKey[]> {
  const { rows } = await sql<ForeignKey>`
    select conrelid::regclass::text as "table", conname as name, pg_get_constraintdef(oid) as definition
    from pg_constraint where contype = 'f' and connamespace = current_schema()::regnamespace`.execute(tx)
  return rows
}

async function advanceSequences(tx: Transaction<AnyDatabase>): Promise<void> {
  const { rows } = await sql<{ table: string; name: string; sequence: string }>`
    select attrelid::regclass::text as "table", attname as name,
           pg_get_serial_sequence(attrelid::regclass::text, attname) as sequence
    from pg_attribute join pg_class on pg_class.oid = attrelid
    where relnamespace = current_schema()::regnamespace and relkind = 'r' and attnum > 0 and not attisdropped
      and pg_get_serial_sequence(attrelid::regclass::text, attname) is not null`.execute(tx)
  for (const { table, name, sequence } of rows)
    await sql`select setval(${sequence}, coalesce(max(${sql.id(name)}), 0) + 1, false) from ${sql.raw(table)}`.execute(
      tx,
    )
}
