import { parseRecord } from './check-row.ts'
import { hashPayload, type PayloadSeal } from './payload.ts'
import type { AuditFault } from './schema.ts'
import type { AuditStore, StoredPayload } from './store.ts'

/** Payloads may be large, so few are held at once. */
const PAGE_ROWS = 16

/**
 * Names the first payload that is not the one its record names; nothing where all are. One that is gone is no fault:
 * payloads may be removed earlier than their records, and the removal is recorded.
 */
export async function checkPayloads(
  deps: { store: AuditStore; payloadSeal: PayloadSeal },
  from: number,
): Promise<AuditFault | undefined> {
  let after = { chain: '', seq: 0 }
  for (;;) {
    const rows = await deps.store.payloadsAfter(after, PAGE_ROWS)
    const wrong = rows.filter(({ at }) => at >= from).find((row) => !isGenuine(deps.payloadSeal, row))
    if (wrong) {
      const detail = 'its payload is not the one that was recorded'
      return { chain: wrong.chain, seq: wrong.seq, kind: wrong.record === null ? 'inserted' : 'edited', detail }
    }
    const last = rows.at(-1)
    if (!last || rows.length < PAGE_ROWS) return undefined
    after = last
  }
}

function isGenuine(seal: PayloadSeal, row: StoredPayload): boolean {
  const named = row.record === null ? undefined : parseRecord(row.record)?.payloadHash
  const text = seal.open(row)
  return named !== undefined && text !== undefined && hashPayload(text) === named
}
