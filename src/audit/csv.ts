import type { AuditRecord } from './schema.ts'

const COLUMNS = [
  'at',
  'decision',
  'what',
  'userId',
  'keyId',
  'client',
  'face',
  'gateway',
  'server',
  'tool',
  'toolName',
  'latencyMs',
  'requestBytes',
  'responseBytes',
  'reason',
  'argsHash',
  'payloadHash',
  'traceId',
  'legs',
  'extra',
  'chain',
  'seq',
  'prev',
  'hash',
] as const

/** The first line of a CSV file of records. */
export function csvHeading(): string {
  return `${COLUMNS.join(',')}\r\n`
}

/** One record as a line (RFC 4180), with its time as ISO 8601. */
export function csvLine(record: AuditRecord & { readonly hash: string }): string {
  return `${COLUMNS.map((column) => cell(valueOf(record, column))).join(',')}\r\n`
}

function valueOf(record: AuditRecord & { readonly hash: string }, column: (typeof COLUMNS)[number]): string | number {
  if (column === 'at') return new Date(record.at).toISOString()
  const value = record[column]
  return typeof value === 'object' ? JSON.stringify(value) : (value ?? '')
}

/** What callers send is among the texts: a spreadsheet must not take any of it for a formula. */
const FORMULA = /^[\s\0]*[=+\-@\u{FF1D}\u{FF0B}\u{FF0D}\u{FF20}|%]/u

function cell(value: string | number): string {
  if (typeof value === 'number') return String(value)
  const harmless = FORMULA.test(value) ? `'${value}` : value
  return /[",\r\n']|^\s|\s$/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}
