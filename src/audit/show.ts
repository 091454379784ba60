import type { AdminCaller } from '#http'
import { Problem } from '#kernel'
import { parseRecord } from './check-row.ts'
import { hashPayload, type PayloadSeal } from './payload.ts'
import { NO_PAYLOAD, NO_RECORD, PAYLOAD_DAMAGED } from './problems.ts'
import type { AuditEvent, AuditRecord, ShownPayload } from './schema.ts'
import type { AuditStore } from './store.ts'

export type Place = { readonly chain: string; readonly seq: number }

/** One record with its hash. Refuses where there is none. */
export async function showRecord(store: AuditStore, place: Place): Promise<AuditRecord & { hash: string }> {
  const row = await store.rowAt(place)
  const record = row && parseRecord(row.record)
  if (!row || !record)
    throw new Problem(NO_RECORD, `There is no record ${place.chain}/${place.seq}; "gatehouse audit --json" shows all.`)
  return { ...record, hash: row.hash }
}

/** What the call was made with and what came back. Writes down who reads it before it tells anything. */
export async function readPayload(
  deps: { store: AuditStore; seal: PayloadSeal; record: (event: AuditEvent) => Promise<void> },
  by: AdminCaller,
  place: Place,
): Promise<ShownPayload> {
  const { payloadHash } = await showRecord(deps.store, place)
  const name = `${place.chain}/${place.seq}`
  if (payloadHash === undefined)
    throw new Problem(NO_PAYLOAD, `No payload was recorded with ${name}: no rule asked for it.`)
  const row = await deps.store.payloadAt(place)
  if (!row) throw new Problem(NO_PAYLOAD, `The payload of ${name} is not kept any more.`)
  const text = deps.seal.open(row)
  const isGenuine = text !== undefined && hashPayload(text) === payloadHash
  await deps.record({
    what: 'audit.payload-read',
    decision: isGenuine ? 'allowed' : 'failed',
    reason: isGenuine ? null : 'the payload is not as it was recorded',
    userId: by.userId,
    keyId: by.keyId,
    face: by.face,
    extra: { chain: place.chain, seq: place.seq },
  })
  if (!isGenuine)
    throw new Problem(PAYLOAD_DAMAGED, `The payload of ${name} is not as it was recorded, so it is not shown.`)
  const { salt: _, ...payload } = JSON.parse(text)
  return { payload }
}
