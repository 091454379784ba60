import { Payload } from '../payload.ts'
import type { Seal } from '../seal.ts'
import type { Ending } from './ending.ts'

/** Larger results are not kept for repeated calls. */
const MAX_KEPT_BYTES = 1_048_576
const PURPOSE = 'call-outcome'

/** An ending as it is kept in the database: sealed, as results hold what users put into their calls. */
export function toStored(seal: Seal, ending: Ending): string {
  const { outcome, ...rest } = ending
  if (outcome.kind !== 'complete') return seal.seal(PURPOSE, { text: JSON.stringify({ ...rest, outcome }) })
  const bytes = outcome.result.bytes()
  const result = bytes.length <= MAX_KEPT_BYTES ? bytes.toString('utf8') : null
  return seal.seal(PURPOSE, { text: JSON.stringify({ ...rest, outcome: { kind: 'complete', result } }) })
}

/** The ending as the repeat of a call gets it; null when its result was too large to be kept. */
export function fromStored(seal: Seal, sealed: string): Ending | null {
  const text = seal.open(PURPOSE, sealed)?.['text']
  if (typeof text !== 'string') return null
  // Written by toStored above, in this shape.
  const stored = JSON.parse(text) as Ending & { outcome: { kind: string; result?: string | null } }
  const replayed = { ...stored, reason: 'the first outcome, again' }
  if (stored.outcome.kind !== 'complete') return replayed
  if (typeof stored.outcome.result !== 'string') return null
  return { ...replayed, outcome: { kind: 'complete', result: Payload.ofBytes(Buffer.from(stored.outcome.result)) } }
}
