import { Problem } from '#kernel'
import { CIRCUIT_OPEN } from '../problems.ts'
import type { Target } from './attempt.ts'

/** Refuses at once what cannot work now: a server that failed repeatedly is given a rest until its next try. */
export function checkLimits(target: Target): void {
  const { breaker, config } = target.server
  const verdict = breaker.check()
  if (verdict === 'allow') return
  const when = new Date(verdict.retryAt).toISOString()
  throw new Problem(
    CIRCUIT_OPEN,
    `Server "${config.name}" did not answer several times in a row; it is tried again at ${when}. Last reason: ${target.server.health().reason || 'no answer'}.`,
    { retryAt: verdict.retryAt },
  )
}
