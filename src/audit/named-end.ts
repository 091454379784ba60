import type { AuditRecord } from './schema.ts'
import type { Head } from './seal.ts'

/** The end of the chain before, as the first record of a chain names it. */
export function namedEnd(record: AuditRecord | undefined): Head | undefined {
  const previous = record?.extra?.['previous']
  if (typeof previous !== 'object' || previous === null || Array.isArray(previous)) return undefined
  const { chain, seq, hash } = previous
  if (typeof chain !== 'string' || typeof seq !== 'number' || typeof hash !== 'string') return undefined
  return { chain, seq, hash }
}
