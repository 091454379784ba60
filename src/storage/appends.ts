import type { Storage, StoredValue } from './contract.ts'
import type { Engine } from './engine.ts'

export type Appends = {
  readonly appendRows: Storage['appendRows']
  /** Refuses new batches and waits for those on their way, so that closing the house loses none. */
  finish(): Promise<void>
}

/** What both engines promise about `appendRows`, above what each does. */
export function createAppends(engine: Engine): Appends {
  const onTheirWay = new Set<Promise<void>>()
  let isFinished = false
  return {
    appendRows: async (table, columns, rows) => {
      checkRows(table, columns, rows)
      if (isFinished) throw new Error(`could not append ${rows.length} rows to ${table}: the storage is closed`)
      const append = engine.appendRows(table, columns, rows)
      onTheirWay.add(append)
      await append.finally(() => onTheirWay.delete(append))
    },
    finish: async () => {
      isFinished = true
      await Promise.allSettled(onTheirWay)
    },
  }
}

/** What one engine would take and the other not is refused on both: a missing value, a NUL character. */
function checkRows(table: string, columns: readonly string[], rows: readonly (readonly StoredValue[])[]): void {
  for (const row of rows) {
    const why = row.length === columns.length ? nulIn(row) : `has ${row.length} values for ${columns.length} columns`
    if (why) throw new Error(`could not append to ${table}: a row ${why}`)
  }
}

function nulIn(row: readonly StoredValue[]): string | undefined {
  return row.some((value) => typeof value === 'string' && value.includes('\0')) ? 'has a NUL character' : undefined
}
