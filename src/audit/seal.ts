import { hash } from 'node:crypto'
import type { StoredValue } from '#storage'
import { boundedExtra, boundedNumber, boundedText } from './bounded.ts'
import type { PayloadRow } from './payload.ts'
import type { AuditEvent } from './schema.ts'

/** The end of a chain: what the next record is hashed with. */
export type Head = { readonly chain: string; readonly seq: number; readonly hash: string }

/** What comes before the first record of a chain. */
export const GENESIS = '0'.repeat(43)

/** The columns of `audit_record`, in the order of `SealedRow`. */
export const RECORD_COLUMNS = [
  'chain',
  'seq',
  'at',
  'what',
  'decision',
  'user_id',
  'gateway',
  'server',
  'tool',
  'trace_id',
  'record',
  'hash',
] as const

export type Sealed = {
  readonly head: Head
  readonly row: readonly StoredValue[]
  readonly record: string
  readonly payload?: PayloadRow
}

/** The next record after `head`. The columns are copies of the record's fields, for searching only. */
export function sealRecord(head: Head, at: number, event: AuditEvent, payloadHash?: string): Sealed {
  const chain = head.chain
  const seq = head.seq + 1
  const what = boundedText(event.what, 128) ?? ''
  const userId = boundedText(event.userId, 256)
  const gateway = boundedText(event.gateway, 128)
  const server = boundedText(event.server, 128)
  const tool = boundedText(event.tool, 256)
  const traceId = boundedText(event.traceId, 128)
  // Keys in sorted order and nothing undefined: this is the canonical text, made in one go.
  const record = JSON.stringify({
    argsHash: boundedText(event.argsHash, 128),
    at,
    chain,
    client: boundedText(event.client, 256),
    decision: event.decision,
    extra: boundedExtra(event.extra),
    face: boundedText(event.face, 64),
    gateway,
    keyId: boundedText(event.keyId, 128),
    latencyMs: boundedNumber(event.latencyMs),
    legs: boundedNumber(event.legs),
    payloadHash,
    prev: head.hash,
    reason: boundedText(event.reason, 1_024),
    requestBytes: boundedNumber(event.requestBytes),
    responseBytes: boundedNumber(event.responseBytes),
    seq,
    server,
    tool,
    toolName: boundedText(event.toolName, 256),
    traceId,
    userId,
    what,
  })
  const newHash = hashRecord(head.hash, record)
  const columns = [userId, gateway, server, tool, traceId].map((value) => value ?? null)
  return {
    head: { chain, seq, hash: newHash },
    row: [chain, seq, at, what, event.decision, ...columns, record, newHash],
    record,
  }
}

/** SHA-256 over the hash before and the record's own bytes, in base64url. */
export function hashRecord(previousHash: string, record: string): string {
  return hash('sha256', previousHash + record, 'base64url')
}
