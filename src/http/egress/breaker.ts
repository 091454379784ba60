import type { Clock } from '#kernel'

/**
 * Gives a failing server or hook a rest: after `threshold` failures in a row calls are refused at once for a while that
 * doubles up to a maximum; then one call is let through as a trial, and its success closes the circuit.
 * Only failures to get an answer count; an error that the server itself gave is an answer. And what one caller alone
 * sees may be their own doing (a tool that hangs): another user with a key of their own must see it too, or the house
 * itself, which asks for nobody. A key that names several users is one caller.
 */
export type Breaker = {
  /** `allow`, or the time (ms since 1970) of the next try. */
  check(): 'allow' | { retryAt: number }
  succeeded(): void
  /** Null where it does not matter for whom: only the house itself can prove it then. */
  failed(caller: BreakerCaller | null): void
  /** The house asked for itself, and got no answer either. */
  foundDown(): void
  /** It failed `threshold` times in a row, whoever saw it. */
  readonly isSuspect: boolean
  readonly isOpen: boolean
  /** When the next call is let through; null while the circuit is closed. */
  readonly retryAt: number | null
}

/** `keyId`: null for who came in without one. */
export type BreakerCaller = { readonly userId: string; readonly keyId: string | null }

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
  let isFoundDown = false
  /** Of those who saw it fail; more than two of each need not be known. */
  const users = new Set<string>()
  const credentials = new Set<string>()
  let restMs = options.firstRestMs
  let openUntil: number | null = null
  const isSuspect = (): boolean => failures >= options.threshold
  const isProven = (): boolean => isSuspect() && (isFoundDown || (users.size > 1 && credentials.size > 1))
  return {
    get isSuspect() {
      return isSuspect()
    },
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
      isFoundDown = false
      users.clear()
      credentials.clear()
      restMs = options.firstRestMs
      openUntil = null
    },
    failed(caller) {
      failures += 1
      if (caller !== null) {
        if (users.size < 2) users.add(caller.userId)
        if (credentials.size < 2) credentials.add(caller.keyId ?? `user:${caller.userId}`)
      }
      if (!isProven()) return
      if (openUntil !== null) restMs = Math.min(restMs * 2, options.maxRestMs)
      openUntil = clock.now() + restMs
    },
    foundDown() {
      isFoundDown = true
      if (openUntil === null && isProven()) openUntil = clock.now() + restMs
    },
  }
}
