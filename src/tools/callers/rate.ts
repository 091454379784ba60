import type { Clock } from '#kernel'

/** `calls` in `seconds`, refilled evenly; a caller who was quiet may use them all at once. */
export type Rate = { readonly calls: number; readonly seconds: number }

/**
 * Token buckets by name, in this process. At most `maxNames` are remembered; beyond that the one that was not used
 * for longest is forgotten, which can only favour a caller.
 */
export type Buckets = {
  /** Takes one call: 0 when it is allowed, otherwise the milliseconds until it would be. */
  take(name: string, rate: Rate): number
}

/** Buckets that are full: whoever was not seen yet may use a whole rate at once. */
export function createBuckets(clock: Clock, maxNames = 50_000): Buckets {
  const buckets = new Map<string, { tokens: number; at: number }>()
  return {
    take(name, rate) {
      const now = clock.now()
      const perMs = rate.calls / (rate.seconds * 1_000)
      const known = buckets.get(name)
      const tokens = known ? Math.min(rate.calls, known.tokens + (now - known.at) * perMs) : rate.calls
      const left = tokens >= 1 ? tokens - 1 : tokens
      buckets.delete(name) // so that the order of the map is the order of use
      buckets.set(name, { tokens: left, at: now })
      if (buckets.size > maxNames) forgetOldest(buckets)
      return tokens >= 1 ? 0 : Math.ceil((1 - tokens) / perMs)
    },
  }
}

function forgetOldest(buckets: Map<string, unknown>): void {
  const [oldest] = buckets.keys()
  if (oldest !== undefined) buckets.delete(oldest)
}
