import type { Clock } from '#kernel'

/**
 * Gives a failing server or hook a rest: after `threshold` failures in a row calls are refused at once for a while that
 * doubles up to a maximum; then one call is let through as a trial, and its success closes the circuit.
 * Only failures to get an answer count; an error that the server itself gave is an answer. And what one user alone
 * sees may be their own doing (a tool that hangs): another, or the server's own listing, must see it too.
 */
export type Breaker = {
  /** `allow`, or the time (ms since 1970) of the next try. */
  check(): 'allow' | { retryAt: number }
  succeeded(): void
  failed(user: string): void
  /** The server did not even list what it has. */
  listingFailed(): void
  readonly isOpen: boolean
  /** When the next call is let through; null while the circuit is closed. */
  readonly retryAt: number | null
}

export type BreakerOptions = { threshold: number; firstRestMs: number; maxRestMs: number }

export function createBreaker(
  clock: Clock,
  options: BreakerOptions = {
    threshold: 5,
    firstRestMs: 5_000,
    maxRestMs: 60_000,
  },
): Breaker {
  let failures = 0
  let isSeenByList = false
  /** Of those who saw it fail; more than two need not be known. */
  const users = new Set<string>()
  let restMs = options.firstRestMs
  let openUntil: number | null = null
  const isProven = (): boolean => failures >= options.threshold && (isSeenByList || users.size > 1)
  return {
    get isOpen() {
      return openUntil !== null
    },
    get retryAt() {
      return openUntil
    },
    check() {
      if (openUntil === null) return 'allow'
      const now = clock.now()
      if (now < openUntil) return { retryAt: openUntil }
      openUntil = now + restMs // the caller that got `allow` is the trial; the others keep waiting for its outcome
      return 'allow'
    },
    succeeded() {
      failures = 0
      isSeenByList = false
      users.clear()
      restMs = options.firstRestMs
      openUntil = null
    },
    failed(user) {
      failures += 1
      if (users.size < 2) users.add(user)
      if (!isProven()) return
      if (openUntil !== null) restMs = Math.min(restMs * 2, options.maxRestMs)
      openUntil = clock.now() + restMs
    },
    listingFailed() {
      isSeenByList = true
      if (openUntil === null && isProven()) openUntil = clock.now() + restMs
    },
  }
}
