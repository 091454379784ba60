import * as z from 'zod'
import { Problem } from '#kernel'
import { parseRecord } from './check-row.ts'
import { BAD_CURSOR } from './problems.ts'
import type { AuditFilter, AuditPage, AuditPageRequest, AuditRecord } from './schema.ts'
import type { AuditStore, RecordRow } from './store.ts'

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1_000

const position = z.object({ at: z.int(), chain: z.string().max(200), seq: z.int() })

/** The matching records, newest first. Refuses a cursor that no answer gave. */
export async function searchTrail(
  store: AuditStore,
  filter: AuditFilter,
  request: AuditPageRequest,
): Promise<AuditPage> {
  const limit = Math.min(Math.max(request.limit ?? DEFAULT_LIMIT, 1), MAX_LIMIT)
  const after = request.cursor === undefined ? null : parseCursor(request.cursor)
  const rows = await store.search(filter, { after, limit: limit + 1 })
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  return { records: shown.flatMap(readable), next: rows.length > limit && last ? cursorOf(last) : null }
}

/** A record that was edited into something else is not shown; verifying names it. */
export function readable(row: RecordRow): AuditRecord[] {
  const record = parseRecord(row.record)
  return record ? [record] : []
}

function cursorOf({ at, chain, seq }: RecordRow): string {
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
