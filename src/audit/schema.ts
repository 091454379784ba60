import * as z from 'zod'
import type { JsonObject } from '#kernel'

const DECISIONS = ['allowed', 'denied', 'failed', 'cancelled'] as const
export type Decision = (typeof DECISIONS)[number]

type Text = string | null | undefined
type Count = number | null | undefined

/**
 * One attempt at something, as whoever attempted it tells it. Never a body, never a secret: `argsHash` stands for the
 * arguments. Strings longer than their limit are cut and marked, so nothing a caller sends can make a record fail.
 */
export type AuditEvent = {
  /** The method or the change: `tools/call`, `key.created`. */
  readonly what: string
  readonly decision: Decision
  /** Why, in words. */
  readonly reason?: Text
  readonly userId?: Text
  readonly keyId?: Text
  /** `name/version` of the client program. */
  readonly client?: Text
  readonly face?: Text
  readonly gateway?: Text
  readonly server?: Text
  /** The tool under its server's own name … */
  readonly tool?: Text
  /** … and as it was called. */
  readonly toolName?: Text
  readonly latencyMs?: Count
  readonly requestBytes?: Count
  readonly responseBytes?: Count
  readonly argsHash?: Text
  readonly traceId?: Text
  /** How many rounds with the upstream the call took, where it was more than one. */
  readonly legs?: Count
  /** Anything else worth keeping; left out and said so when it is longer than 4,096 characters. */
  readonly extra?: JsonObject | undefined
}

const text = z.string().optional()
const count = z.number().optional()

/** One record as it is stored, hashed and shown. `prev` is the hash of the record before it in its chain. */
export const auditRecord = z.object({
  chain: z.string(),
  seq: z.int(),
  at: z.int().meta({ description: 'Milliseconds since 1970.' }),
  prev: z.string(),
  what: z.string(),
  decision: z.enum(DECISIONS),
  reason: text,
  userId: text,
  keyId: text,
  client: text,
  face: text,
  gateway: text,
  server: text,
  tool: text,
  toolName: text,
  latencyMs: count,
  requestBytes: count,
  responseBytes: count,
  argsHash: text,
  traceId: text,
  legs: count,
  payloadHash: text.meta({ description: 'SHA-256 of the recorded payload, where a rule had it recorded.' }),
  extra: z.record(z.string(), z.json()).optional(),
})
export type AuditRecord = z.output<typeof auditRecord>

/** One record beside its hash, which covers the record and the hash before it. */
export const shownRecord = auditRecord.extend({ hash: z.string() })

export const shownPayload = z.object({
  payload: z
    .record(z.string(), z.json())
    .meta({ description: '`arguments` as the server got them and `result` as the caller got it.' }),
})
export type ShownPayload = z.output<typeof shownPayload>

const filterText = z.string().min(1).max(256).optional()
const time = z.coerce.number().int().min(0).optional()

export const auditFilter = z.object({
  user: filterText,
  tool: filterText,
  server: filterText,
  gateway: filterText,
  key: filterText.meta({ description: 'The id of the API key or grant: records made with it, and about it.' }),
  client: filterText.meta({ description: 'How the name of the client program begins.' }),
  face: filterText,
  rule: filterText.meta({ description: 'The rule that decided.' }),
  policyVersion: filterText,
  decision: z.enum(DECISIONS).optional(),
  what: filterText,
  traceId: filterText,
  since: time,
  until: time,
  text: filterText.meta({ description: 'Records that hold this text anywhere, in upper or lower case.' }),
})
export type AuditFilter = z.output<typeof auditFilter>

export const auditPageRequest = z.object({
  cursor: z.string().max(512).optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
})
export type AuditPageRequest = { readonly cursor?: string | undefined; readonly limit?: number | undefined }

export const auditPage = z.object({ records: z.array(auditRecord), next: z.string().nullable() })
export type AuditPage = z.output<typeof auditPage>

const FAULT_KINDS = ['edited', 'removed', 'reordered', 'inserted', 'checkpoint-mismatch', 'truncated'] as const
const auditFault = z.object({
  chain: z.string(),
  seq: z.int(),
  kind: z.enum(FAULT_KINDS),
  detail: z.string(),
})
export type AuditFault = z.output<typeof auditFault>

export const auditVerdict = z.object({
  ok: z.boolean(),
  records: z.int(),
  chains: z.int(),
  checkpoints: z.int(),
  removed: z
    .object({ records: z.int(), until: z.int().nullable() })
    .meta({ description: 'What retention has removed, and the time of the last of it. That is no fault.' }),
  problem: auditFault.nullable().meta({ description: 'The first record concerned.' }),
  faults: z.array(auditFault).meta({ description: 'The first fault of each chain, oldest chain first.' }),
})
export type AuditVerdict = z.output<typeof auditVerdict>
