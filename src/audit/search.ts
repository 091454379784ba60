import * as z from 'zod'
import { Problem } from '#kernel'
import { parseRecord } from './check-row.ts'
import { BAD_CURSOR } from './problems.ts'
import type { AuditFilter, AuditPage, AuditPageRequest, AuditRecord } from './schema.ts'
import type { AuditStore } from './store.ts'
import type { Position, RecordRow } from './tables.ts'

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1_000
const STEPS = { rows: 5_000, max: 20 }

const position = z.object({ at: z.int(), chain: z.string().max(200), seq: z.int() })

/**
 * The matching records, newest first. Reads in steps, so that no search holds up the calls that are recorded meanwhile;
 * after enough steps it answers with what it has, and `next` goes on from there. Refuses a cursor that no answer gave.
 */
export async function searchTrail(
  store: AuditStore,
  filter: AuditFilter,
  request: AuditPageRequest & { readonly steps?: typeof STEPS },
): Promise<AuditPage> {
  const { steps = STEPS } = request
  const limit = Math.min(Math.max(request.limit ?? DEFAULT_LIMIT, 1), MAX_LIMIT)
  const rows: RecordRow[] = []
  let after: Position | null = request.cursor === undefined ? null : parseCursor(request.cursor)
  for (let step = 0; step < steps.max; step++) {
    const end = await store.windowEnd(filter, { after, rows: steps.rows })
    rows.push(...(await store.search(filter, { after, end, limit: limit + 1 - rows.length })))
    const shown = rows.slice(0, limit)
    if (rows.length > limit) return pageOf(shown, shown.at(-1))
    if (!end) return pageOf(shown, undefined)
    after = end
  }
  return pageOf(rows, after ?? undefined)
}

function pageOf(rows: readonly RecordRow[], goOnAfter: Position | undefined): AuditPage {
  return { records: rows.flatMap(readable), next: goOnAfter ? cursorOf(goOnAfter) : null }
}

/** A record that was edited into something else is not shown; verifying names it. */
export function readable(row: RecordRow): AuditRecord[] {
  const record = parseRecord(row.record)
  return record ? [record] : []
}

function cursorOf({ at, chain, seq }: Position): string {
  return Buffer.from(JSON.stringify({ at, chain, seq })).toString('base64url')
}

function parseCursor(cursor: string) {
  try {
    return position.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()))
  } catch (cause) {
    const quoted = cursor.slice(0, 100)
    throw new Problem(
      BAD_CURSOR,
      `"${quoted}" is not a cursor from an earlier answer; leave it out to start with the newest.`,
      { cause },
    )
  }
}
