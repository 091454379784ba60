import { createHash } from 'node:crypto'
import type { Pool } from 'pg'
import type { Storage } from '../contract.ts'
import { whileDoing } from '../errors.ts'
import { quoted } from '../quoted.ts'

type Insert = { readonly name: string; readonly text: string }

const MAX_INSERTS = 100

/** One prepared statement per table, whatever the number of rows: each column travels as one array. */
export function createAppendRows(pool: Pool): Storage['appendRows'] {
  const inserts = new Map<string, Promise<Insert>>()
  return async (table, columns, rows) => {
    if (rows.length === 0) return
    const key = JSON.stringify([table, columns])
    try {
      const insert = inserts.get(key) ?? prepareInsert(pool, table, columns)
      if (inserts.size < MAX_INSERTS) inserts.set(key, insert)
      await pool.query({
        ...(await insert),
        values: columns.map((_, column) => rows.map((row) => row[column] ?? null)),
      })
    } catch (error) {
      inserts.delete(key)
      throw whileDoing(`append ${rows.length} rows to ${table}`, error)
    }
  }
}

async function prepareInsert(pool: Pool, table: string, columns: readonly string[]): Promise<Insert> {
  const types = await readTypes(pool, table)
  const arrays = columns.map((column, index) => `$${index + 1}::${types.get(column) ?? 'text'}[]`)
  const text = `insert into ${quoted(table)} (${columns.map(quoted).join(', ')}) select * from unnest(${arrays.join(', ')})`
  return { name: nameOf(text), text }
}

async function readTypes(pool: Pool, table: string): Promise<Map<string, string>> {
  const { rows } = await pool.query<{ name: string; type: string }>(
    `select attname as name, format_type(atttypid, null) as type from pg_attribute
     where attrelid = to_regclass($1) and attnum > 0 and not attisdropped`,
    [quoted(table)],
  )
  return new Map(rows.map((row) => [row.name, row.type]))
}

/** The same statement has the same name on every connection, and another has another; 63 characters at most. */
function nameOf(text: string): string {
  return `append_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`
}
