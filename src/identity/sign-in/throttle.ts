import type { Audit } from '#audit'
import { Problem, type Clock } from '#kernel'
import { SIGN_IN_LOCKED } from '../problems.ts'
import type { Bucket, GuessRule, Guesses } from './guesses.ts'

/** Where an attempt comes from. */
export type From = { readonly address: string; readonly agent: string }

export type Attempt = {
  /** The user id as it was typed, or that of the account whose second factor is checked. */
  readonly userId: string
  readonly from: From
  readonly factor: 'password' | 'totp' | 'recovery-code' | 'passkey' | 'device-code'
}

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** One user from one address: five typing mistakes, then 1 s, 2 s, 4 s … up to a quarter of an hour. */
const PAIR: GuessRule = { free: 5, firstPauseMs: 1_000, longestPauseMs: 15 * MINUTE, memoryMs: 6 * HOUR }
/** One address against many users. An office behind one address has many typing mistakes. */
const SOURCE: GuessRule = { free: 100, firstPauseMs: 1_000, longestPauseMs: 15 * MINUTE, memoryMs: HOUR }
/** Many addresses against one user: never more than a pause of five seconds, so that the user still gets in. */
const ACCOUNT: GuessRule = { free: 100, firstPauseMs: 1_000, longestPauseMs: 5_000, memoryMs: HOUR }
/** Whoever guesses second factors has the first: six digits are soon tried, so nobody is spared, wherever they are. */
const SECOND: GuessRule = { free: 5, firstPauseMs: 10_000, longestPauseMs: 30 * MINUTE, memoryMs: 24 * HOUR }

/**
 * Codes that devices show (RFC 8628 §5.1): five wrong ones, then a pause as long as such a code lives. Of that person
 * alone, and a right one does not begin it anew: who guesses may have a code of their own.
 */
const DEVICE: GuessRule = { free: 4, firstPauseMs: 10 * MINUTE, longestPauseMs: HOUR, memoryMs: 6 * HOUR }

export const LONGEST_MEMORY_MS = 24 * HOUR

export type Throttle = {
  /**
   * Makes an attempt at signing in, if it may be made now. Resolves with what it gave; null is a wrong guess, and then
   * this is recorded. Throws `identity/sign-in-locked` when it comes too early; the same for users there are not.
   */
  attempt<T>(attempt: Attempt, work: () => Promise<T | null>): Promise<T | null>
}

export function createThrottle(deps: {
  guesses: Guesses
  clock: Clock
  audit: Pick<Audit, 'record'>
  /** Told of each attempt, for the metrics. */
  onAttempt?: (factor: Attempt['factor'], outcome: 'right' | 'wrong' | 'locked') => void
}): Throttle {
  const { guesses, clock, audit, onAttempt } = deps
  return {
    attempt: async (attempt, work) => {
      const { factor } = attempt
      const { own = [], undone = [], shared } = bucketsOf(attempt)
      const until = await guesses.begin([...own, ...undone, ...shared], clock.now())
      if (until !== null) {
        onAttempt?.(factor, 'locked')
        await audit.record(refusal(attempt, 'too many wrong guesses'))
        throw locked(until, clock.now())
      }
      const answer = await work()
      if (answer === null) {
        onAttempt?.(factor, 'wrong')
        await audit.record(refusal(attempt, `wrong ${factor}`))
        return null
      }
      onAttempt?.(factor, 'right')
      await guesses.right({ forgotten: own, undone, spared: shared })
      return answer
    },
  }
}

function bucketsOf({ userId, from, factor }: Attempt): { own?: Bucket[]; undone?: Bucket[]; shared: Bucket[] } {
  const user = userId.trim().toLowerCase().slice(0, 256)
  const source: Bucket = { key: `source ${from.address}`, rule: SOURCE }
  if (factor === 'device-code') return { undone: [{ key: `device ${user}`, rule: DEVICE }], shared: [source] }
  if (factor === 'totp' || factor === 'recovery-code')
    return { own: [{ key: `second ${user}`, rule: SECOND }], shared: [source] }
  const pair: Bucket = { key: `pair ${from.address} ${user}`, rule: PAIR }
  return { own: [pair], shared: [source, { key: `account ${user}`, rule: ACCOUNT }] }
}

function refusal({ userId, from, factor }: Attempt, reason: string) {
  const extra = { factor, from: from.address }
  return { what: 'sign-in.attempted', decision: 'denied', reason, userId, face: 'web', extra } as const
}

function locked(until: number, now: number): Problem {
  const seconds = Math.max(1, Math.ceil((until - now) / 1_000))
  const wait = seconds < 90 ? `${seconds} seconds` : `${Math.ceil(seconds / 60)} minutes`
  return new Problem(SIGN_IN_LOCKED, `Too many wrong guesses. Try again in ${wait}.`, { retryAt: until })
}
