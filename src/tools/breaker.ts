import type { Clock } from '#kernel'

/**
 * Gives a failing server a rest: after `threshold` failures in a row calls are refused at once for a while that
 * doubles up to a maximum; then one call is let through as a trial, and its success closes the circuit.
 * Only failures to get an answer count; an error that the server itself gave is an answer.
 */
export type Breaker = {
  /** `allow`, or the time (ms since 1970) of the next try. */
  check(): 'allow' | { retryAt: number }
  succeeded(): void
  failed(): void
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
  let restMs = options.firstRestMs
  let openUntil: number | null = null
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
      restMs = options.firstRestMs
      openUntil = null
    },
    failed() {
      failures += 1
      if (failures < options.threshold) return
      if (openUntil !== null) restMs = Math.min(restMs * 2, options.maxRestMs)
      openUntil = clock.now() + restMs
    },
  }
}
