import * as z from 'zod'
import type { Checkpoint } from './checkpoint.ts'
import { checkpoint } from './checkpoint.ts'
import { farthestByChain, removal, type Removal } from './removal.ts'
import { auditFilter, shownRecord, type AuditFilter } from './schema.ts'
import type { AuditStore } from './store.ts'
import { parseRecord } from './check-row.ts'

/**
 * A line of an export. Before the records of a chain come what was signed of it, so that whoever reads the file can
 * verify it from top to bottom in little memory; `end` says that nothing is missing behind.
 */
export const exportLine = z.union([
  shownRecord,
  z.object({ checkpoint }),
  z.object({ removal }),
  z.object({ end: z.object({ records: z.int(), filter: auditFilter }) }),
])
export type ExportLine = z.output<typeof exportLine>
type ShownRecord = z.output<typeof shownRecord>

const PAGE_ROWS = 500

/** The matching records chain by chain, oldest first, up to where the trail ends now. Reads on only as its reader does. */
export async function* exportTrail(store: AuditStore, filter: AuditFilter): AsyncGenerator<ExportLine> {
  const removals = farthestByChain(await store.removals())
  let records = 0
  for (const { chain } of await store.chains()) {
    const last = (await store.lastRow(chain))?.seq ?? 0
    yield* signedOf(removals.get(chain), await store.checkpointsOf(chain), last)
    for await (const record of recordsOf(store, { chain, last, filter })) {
      records += 1
      yield record
    }
  }
  yield { end: { records, filter } }
}

function* signedOf(removed: Removal | undefined, points: readonly Checkpoint[], last: number): Generator<ExportLine> {
  if (removed) yield { removal: removed }
  for (const point of points) if (point.seq <= last) yield { checkpoint: point }
}

async function* recordsOf(
  store: AuditStore,
  range: { chain: string; last: number; filter: AuditFilter },
): AsyncGenerator<ShownRecord> {
  const { chain, last, filter } = range
  let after = (await firstSince(store, range)) - 1
  while (after < last) {
    const upTo = Math.min(last, after + PAGE_ROWS)
    for (const row of await store.since(filter, { chain, after, upTo })) {
      const record = parseRecord(row.record)
      if (record) yield { ...record, hash: row.hash }
    }
    after = upTo
  }
}

/** Clocks are set back now and then: begins so much before the first record that is young enough. */
const SLACK = 1_000

/** Finds by halving where in the chain the time asked for begins, without reading what is before. */
async function firstSince(
  store: AuditStore,
  { chain, last, filter }: { chain: string; last: number; filter: AuditFilter },
): Promise<number> {
  const first = (await store.firstSeq(chain)) ?? last + 1
  if (filter.since === undefined) return first
  let low = first
  let high = last
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const at = (await store.rowAt({ chain, seq: middle }))?.at ?? 0
    if (at < filter.since) low = middle + 1
    else high = middle
  }
  return Math.max(first, low - SLACK)
}
