import type { Clock } from '#kernel'

const PER_SECOND = 50
const AT_ONCE = 200
const MAX_CLIENTS = 1_000

/** Lets each client go on at a pace that leaves the house to others: true when it may ask once more now. */
export function createPace(clock: Clock): (client: string) => boolean {
  const left = new Map<string, { tokens: number; at: number }>()
  return (client) => {
    const now = clock.now()
    const known = left.get(client) ?? { tokens: AT_ONCE, at: now }
    const tokens = Math.min(AT_ONCE, known.tokens + ((now - known.at) * PER_SECOND) / 1_000)
    left.delete(client) // so that the order of the map is the order of use
    left.set(client, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now })
    const [oldest] = left.keys()
    if (left.size > MAX_CLIENTS && oldest !== undefined) left.delete(oldest)
    return tokens >= 1
  }
}
