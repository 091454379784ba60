import type { Storage } from '../contract.ts'
import { whileDoing } from '../errors.ts'
import { quoted } from '../quoted.ts'
import type { SqliteClient } from './client.ts'

/** One message to the worker per batch, and there one prepared insert per row inside one transaction. */
export function createAppendRows(client: SqliteClient): Storage['appendRows'] {
  return async (table, columns, rows) => {
    if (rows.length === 0) return
    const turn = await client.takeTurn()
    try {
      await client.ask({ kind: 'append', sql: insertInto(table, columns), rows })
    } catch (error) {
      throw whileDoing(`append ${rows.length} rows to ${table}`, error)
    } finally {
      turn.done()
    }
  }
}

function insertInto(table: string, columns: readonly string[]): string {
  return `insert into ${quoted(table)} (${columns.map(quoted).join(', ')}) values (${columns.map(() => '?').join(', ')})`
}
