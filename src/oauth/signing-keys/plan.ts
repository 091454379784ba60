import { ALGORITHMS, type ShownKey, type SigningKey, type Timed } from './schema.ts'

const MINUTE = 60_000

/** A new key is published for so long before it signs: whoever keeps the key set in a cache has it by then. */
export const PUBLISHED_MS = 10 * MINUTE
/** No token that is signed by a key of the house lives longer. */
const LONGEST_TOKEN_MS = 60 * MINUTE
/** Who verifies may keep the key set for so long, and is not told of a key's end. */
const CACHED_MS = 60 * MINUTE
/** A retired key is published for so long. */
export const OVERLAP_MS = LONGEST_TOKEN_MS + CACHED_MS

/** What each key is at a moment, in the order in which they are published: those that sign first. */
export function statesAt<Key extends Timed>(keys: readonly Key[], now: number): { key: Key; shown: ShownKey }[] {
  const seen = keys.flatMap((key) => {
    const retiredAt = retiresAt(keys, key)
    const goneAt = retiredAt > now ? null : retiredAt + OVERLAP_MS
    if (goneAt !== null && goneAt <= now) return []
    const state = goneAt !== null ? 'retired' : key.signsAt > now ? 'next' : 'signing'
    const { kid, alg, createdAt, signsAt } = key
    return [{ key, shown: { kid, alg, state, createdAt, signsAt, goneAt } as const }]
  })
  return seen.toSorted((a, b) => rank(a.shown) - rank(b.shown) || b.key.number - a.key.number)
}

const ORDER = { signing: 0, next: 2, retired: 4 } as const

function rank({ state, alg }: ShownKey): number {
  return ORDER[state] + ALGORITHMS.indexOf(alg)
}

/** When the first of those after it signs. */
function retiresAt(keys: readonly Timed[], { alg, number }: Timed): number {
  return Math.min(...keys.filter((key) => key.alg === alg && key.number > number).map(({ signsAt }) => signsAt))
}

/** The next moment at which `statesAt` says something else. */
export function changesAt(keys: readonly Timed[], now: number): number {
  const moments = keys.flatMap(({ signsAt }) => [signsAt, signsAt + OVERLAP_MS])
  return Math.min(...moments.filter((moment) => moment > now), Infinity)
}

export type NewKey = Pick<Timed, 'alg' | 'number' | 'signsAt'>
export type Tending = { readonly make: readonly NewKey[]; readonly remove: readonly string[] }

/** What is due: first keys, the next ones of those that have signed for long enough, and those that are over. */
export function dueAt(keys: readonly Timed[], at: { now: number; rotateMs: number }): Tending {
  const { now, rotateMs } = at
  const make = ALGORITHMS.flatMap((alg): NewKey[] => {
    const newest = newestOf(keys, alg)
    if (newest === undefined) return [{ alg, number: 1, signsAt: now }]
    const signsAt = newest.signsAt + rotateMs
    if (now < signsAt - PUBLISHED_MS) return []
    return [{ alg, number: newest.number + 1, signsAt: Math.max(signsAt, now + PUBLISHED_MS) }]
  })
  const kept = new Set(statesAt(keys, now).map(({ key }) => key.kid))
  return { make, remove: keys.map(({ kid }) => kid).filter((kid) => !kept.has(kid)) }
}

/** The keys that come after all there are. One that is on its way already is not doubled, unless it must be a new one. */
export function nextKeys(keys: readonly Timed[], wish: { now: number; at: 'now' | 'published' }): NewKey[] {
  return ALGORITHMS.flatMap((alg): NewKey[] => {
    const newest = newestOf(keys, alg)
    if (wish.at === 'published' && newest !== undefined && newest.signsAt > wish.now) return []
    const signsAt = wish.at === 'now' ? wish.now : wish.now + PUBLISHED_MS
    return [{ alg, number: (newest?.number ?? 0) + 1, signsAt }]
  })
}

function newestOf(keys: readonly Timed[], alg: SigningKey['alg']): Timed | undefined {
  return keys.filter((key) => key.alg === alg).toSorted((a, b) => b.number - a.number)[0]
}
