import { isIP } from 'node:net'

const HOUR_MS = 3_600_000
const MAX_PLACES = 10_000

type Bucket = { readonly left: number; readonly at: number }

/**
 * Slows registration down, since anybody may do it: so many an hour from one place. Of more places than it can remember,
 * it forgets the one that it heard of longest ago: who has many addresses gains a little, and nobody else loses.
 */
export class RegistrationPace {
  readonly #perHour: number
  /** The one that was heard of last is last. */
  readonly #buckets = new Map<string, Bucket>()

  constructor(perHour: number) {
    this.#perHour = perHour
  }

  /** How long to wait: 0 seconds for whoever may register now. */
  take(address: string, now: number): number {
    const place = placeOf(address)
    const { left, at } = this.#buckets.get(place) ?? { left: this.#perHour, at: now }
    const have = Math.min(this.#perHour, left + (Math.max(0, now - at) / HOUR_MS) * this.#perHour)
    const isGiven = have >= 1
    this.#buckets.delete(place)
    this.#buckets.set(place, { left: isGiven ? have - 1 : have, at: now })
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size <= MAX_PLACES) break
      this.#buckets.delete(oldest)
    }
    return isGiven ? 0 : Math.ceil(((1 - have) * HOUR_MS) / this.#perHour / 1_000)
  }
}

/** Whoever has one address of IPv6 has all of its network (RFC 4291 §2.5.1: the first 64 bits). */
function placeOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined) return mapped
  if (isIP(address) !== 6) return address
  const [head = '', tail = ''] = (address.split('%')[0] ?? '').split('::')
  const [left, right] = [groupsOf(head), groupsOf(tail)]
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0')
  const groups = [...left, ...zeros, ...right].slice(0, 4)
  return groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':')
}

function groupsOf(part: string): string[] {
  return part.split(':').filter((group) => group !== '')
}
