import { Problem } from '#kernel'
import { AUDIT_DOWN, CIRCUIT_OPEN, RATE_LIMITED } from '../problems.ts'
import type { CompiledRateLimit } from '../views/view.ts'
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
  checkRates(deps, attempt, target)
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

/**
 * Answers to a call that waits are part of that call, so they do not use up its rate. But nobody answers a person's
 * questions faster than this: without a limit, answers would be the way around every rate.
 */
const ANSWERS = { calls: 60, seconds: 60 } as const

function checkRates(deps: Pick<CallDeps, 'buckets' | 'clock'>, attempt: Attempt, target: Target): void {
  const { rateLimits, config } = target.view
  const isAnswer = attempt.request.requestState !== undefined
  const waits = rateLimits.map((limit, index) => {
    const counts = limit.picks === null || limit.picks.matches(target.server.config, target.original)
    if (!counts) return 0
    const counter = `${config.slug}\n${index}\n`
    if (isAnswer) return deps.buckets.take(`${counter}answers\n${attempt.request.admission.userId}`, ANSWERS)
    return deps.buckets.take(`${counter}${counterOf(limit, attempt, target)}`, limit)
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
