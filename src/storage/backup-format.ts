/**
 * A backup is a text file, one JSON value a line: the header, then for each table a line with its columns and a line
 * a row, and last the number of rows, so that a file cut short is noticed. Bytes are `{"bytes":"<base64>"}`.
 */
import { z } from 'zod'
import { Problem, type Json } from '#kernel'
import type { StoredValue } from './contract.ts'
import { BAD_BACKUP } from './problems.ts'

export type BackupRow = readonly StoredValue[]

export type BackupLine = Header | TableLine | EndLine | { readonly kind: 'row'; readonly row: BackupRow }

type Header = z.infer<typeof header>
type TableLine = z.infer<typeof tableLine>
type EndLine = z.infer<typeof endLine>

const header = z.object({
  kind: z.literal('gatehouse-backup'),
  version: z.literal(1),
  at: z.number(),
  engine: z.enum(['sqlite', 'postgres']),
  migrations: z.array(z.string()),
})
const tableLine = z.object({ kind: z.literal('table'), table: z.string().min(1), columns: z.array(z.string()).min(1) })
const endLine = z.object({ kind: z.literal('end'), rows: z.number() })
const markLine = z.discriminatedUnion('kind', [header, tableLine, endLine])
const bytesValue = z.strictObject({ bytes: z.base64() })

/** A line of a backup that is no row, with its line feed. */
export function formatLine(line: Exclude<BackupLine, { kind: 'row' }>): string {
  return `${JSON.stringify(line)}\n`
}

/** A row as a line of a backup, with its line feed. */
export function formatRow(row: BackupRow): string {
  return `${JSON.stringify(row.map(encodeValue))}\n`
}

/** Refuses a line that no version 1 backup has, with its number. */
export function parseLine(text: string, number: number): BackupLine {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? { kind: 'row', row: value.map(decodeValue) } : markLine.parse(value)
  } catch (error) {
    throw badBackup(`line ${number} is not one of a version 1 backup; take an unharmed copy of the file`, error)
  }
}

/** The refusal of a backup; `why` ends its sentence. */
export function badBackup(why: string, cause?: unknown): Problem {
  return new Problem(BAD_BACKUP, `The backup cannot be restored: ${why}.`, cause === undefined ? {} : { cause })
}

function encodeValue(value: StoredValue): Json {
  return value instanceof Uint8Array ? { bytes: Buffer.from(value).toString('base64') } : value
}

function decodeValue(value: unknown): StoredValue {
  if (value === null || typeof value === 'string' || typeof value === 'number') return value
  return Buffer.from(bytesValue.parse(value).bytes, 'base64')
}
