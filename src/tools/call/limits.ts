import { Problem } from '#kernel'
import { AUDIT_DOWN, CIRCUIT_OPEN, RATE_LIMITED } from '../problems.ts'
import type { CompiledRateLimit } from '../view.ts'
import type { Attempt, Target } from './attempt.ts'
import type { CallDeps } from './deps.ts'

/**
 * Refuses at once what may not or cannot be done now: a call that could not be recorded, a caller who used up a rate, a
 * server that failed repeatedly and is given a rest. The concurrency of a server is kept where the call is made (`dispatch.ts`).
 */
export function checkLimits(
  deps: Pick<CallDeps, 'audit' | 'buckets' | 'clock'>,
  attempt: Attempt,
  target: Target,
): void {
  checkAudit(deps)
  // Answers to a call that waits are part of that call.
  if (attempt.request.requestState === undefined) checkRates(deps, attempt, target)
  checkCircuit(target)
}

/** Known to be down: so that no effect comes about whose record could not. The record of this refusal looks whether it is back. */
function checkAudit({ audit }: Pick<CallDeps, 'audit'>): void {
  if (audit.state().writesTo !== 'nowhere') return
  throw new Problem(
    AUDIT_DOWN,
    'The audit log cannot be written now, so this call was not made. Try again in a moment; if it stays, tell the operator.',
  )
}

function checkRates(deps: Pick<CallDeps, 'buckets' | 'clock'>, attempt: Attempt, target: Target): void {
  const { rateLimits, config } = target.view
  const waits = rateLimits.map((limit, index) => {
    const counts = limit.picks === null || limit.picks.matches(target.server.config, target.original)
    return counts ? deps.buckets.take(`${config.slug}\n${index}\n${counterOf(limit, attempt, target)}`, limit) : 0
  })
  const waitMs = Math.max(0, ...waits)
  if (waitMs === 0) return
  const seconds = Math.ceil(waitMs / 1_000)
  throw new Problem(RATE_LIMITED, `Too many calls at this gateway; the next one is possible in ${seconds} s.`, {
    retryAt: deps.clock.now() + waitMs,
  })
}

function counterOf({ per }: CompiledRateLimit, attempt: Attempt, target: Target): string {
  const { userId } = attempt.request.admission
  const tool = `${target.server.config.name}/${target.original}`
  switch (per) {
    case 'user':
      return userId
    case 'tool':
      return tool
    case 'user+tool':
      return `${userId}\n${tool}`
    case 'gateway':
      return ''
  }
}

function checkCircuit(target: Target): void {
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
