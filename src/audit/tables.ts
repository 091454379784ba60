/** The rows of this room's tables. */
import type { PayloadRow } from './payload.ts'

export type RecordRow = {
  chain: string
  seq: number
  at: number
  what: string
  decision: string
  user_id: string | null
  gateway: string | null
  server: string | null
  tool: string | null
  trace_id: string | null
  record: string
  hash: string
}
export type ChainRow = { chain: string; replica: string; started_at: number }
export type CheckpointRow = {
  chain: string
  seq: number
  hash: string
  at: number
  is_last: number
  key_id: string
  signature: string
}
export type KeyRow = { key_id: string; public_key: string; replica: string; created_at: number }

export type RemovalRow = {
  chain: string
  seq: number
  hash: string
  first_at: number
  last_at: number
  previous: string | null
  at: number
  key_id: string
  signature: string
}
export type DutyRow = { name: string; replica: string; until_at: number }

type ForwardedRow = { chain: string; seq: number }

export type AuditTables = {
  audit_forwarded: ForwardedRow
  audit_removal: RemovalRow
  audit_duty: DutyRow
  audit_payload: PayloadRow
  audit_record: RecordRow
  audit_chain: ChainRow
  audit_checkpoint: CheckpointRow
  audit_key: KeyRow
}
export type Position = { readonly at: number; readonly chain: string; readonly seq: number }
