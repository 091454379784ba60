import { auditRecord, type AuditFault, type AuditRecord } from './schema.ts'
import { hashRecord } from './seal.ts'
import type { RecordRow } from './tables.ts'

/** What a row must follow on; no hash where the one before it is not read. */
export type Expected = { readonly seq: number; readonly previousHash: string | undefined }

export type Finding =
  | { readonly kind: 'fine'; readonly record: AuditRecord }
  | { readonly kind: 'fault'; readonly fault: AuditFault }
  /** A genuine record in another record's place: where it belongs tells what happened, once it is known who claims this place. */
  | { readonly kind: 'misplaced'; readonly claims: number }

/** Holds one row against the chain so far. */
export function checkRow(row: RecordRow, expected: Expected): Finding {
  if (row.seq !== expected.seq)
    return fault(row.chain, expected.seq, 'removed', `the next record there is has the number ${row.seq}`)
  const record = parseRecord(row.record)
  if (!record) return fault(row.chain, row.seq, 'edited', 'it is not a record any more')
  if (hashRecord(record.prev, row.record) !== row.hash)
    return fault(row.chain, row.seq, 'edited', 'its text and its hash do not belong together')
  if (record.chain !== row.chain)
    return fault(row.chain, row.seq, 'inserted', `the record here belongs to the chain ${record.chain}`)
  if (record.seq !== row.seq) return { kind: 'misplaced', claims: record.seq }
  const column = differingColumn(row, record)
  if (column) return fault(row.chain, row.seq, 'edited', `the column ${column} is not what the record says`)
  if (expected.previousHash !== undefined && record.prev !== expected.previousHash)
    return fault(row.chain, Math.max(row.seq - 1, 1), 'edited', 'the record after it was made after another one')
  return { kind: 'fine', record }
}

function fault(chain: string, seq: number, kind: AuditFault['kind'], detail: string): Finding {
  return { kind: 'fault', fault: { chain, seq, kind, detail } }
}

/** The text of a stored record, or nothing where it is none. */
export function parseRecord(text: string): AuditRecord | undefined {
  try {
    return auditRecord.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

function differingColumn(row: RecordRow, record: AuditRecord): string | undefined {
  const pairs = [
    ['at', row.at, record.at],
    ['what', row.what, record.what],
    ['decision', row.decision, record.decision],
    ['user_id', row.user_id, record.userId ?? null],
    ['gateway', row.gateway, record.gateway ?? null],
    ['server', row.server, record.server ?? null],
    ['tool', row.tool, record.tool ?? null],
    ['trace_id', row.trace_id, record.traceId ?? null],
  ] as const
  return pairs.find(([, stored, said]) => stored !== said)?.[0]
}
