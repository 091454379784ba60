import { APPROVAL_DENIED, APPROVAL_EXPIRED, APPROVAL_PENDING } from '#approvals'
import { BLOCKED_INPUT, WITHHELD_OUTPUT } from '#content'
import { isProblem, type Json, type Problem } from '#kernel'
import { HOOK_DENIED, HOOK_FAILED, HOOK_RATE_LIMITED } from '#policy'
import { Payload } from '../payload.ts'
import { CANCELLED, CIRCUIT_OPEN, INPUT_EXPIRED, OVERLOADED, RATE_LIMITED, SCOPE_NEEDED } from '../problems.ts'
import { reasonOf } from '../servers/reason.ts'
import type { CallOutcome } from '../tools.ts'
import type { Attempt } from './attempt.ts'
import { INTERNAL_ERROR, INVALID_PARAMS, Refused } from './refused.ts'

/** How an attempt ended: what the caller hears, and what the audit says. */
export type Ending = {
  readonly outcome: CallOutcome
  readonly decision: 'allowed' | 'denied' | 'failed' | 'cancelled'
  readonly reason: string
  readonly rule?: string | null
  readonly responseBytes: number
  /** How metrics count it, where the decision does not say: an answer that tells of an error, and what was too much. */
  readonly counted?: 'error' | 'shed'
}

/** Refused by a rule, not by trouble. */
const DENIED = [
  RATE_LIMITED,
  SCOPE_NEEDED,
  BLOCKED_INPUT,
  WITHHELD_OUTPUT,
  HOOK_DENIED,
  HOOK_FAILED,
  HOOK_RATE_LIMITED,
  APPROVAL_DENIED,
  APPROVAL_EXPIRED,
  APPROVAL_PENDING,
] as const
const SHED = [OVERLOADED, CIRCUIT_OPEN, RATE_LIMITED, HOOK_RATE_LIMITED] as const

/** The ending of a call that threw: a refusal, a Problem on the way to the server, or an outage. */
export function endingOf(error: unknown, attempt: Attempt): Ending {
  if (error instanceof Refused) {
    return {
      outcome: { kind: 'error', error: error.error },
      decision: error.decision,
      reason: error.message,
      responseBytes: 0,
    }
  }
  if (attempt.request.signal.aborted || isProblem(error, CANCELLED)) return cancelled(attempt)
  return failed(error, attempt)
}

function failed(error: unknown, attempt: Attempt): Ending {
  const { reason } = reasonOf(error)
  const problem = isProblem(error) ? error : null
  const server = attempt.target?.server.config.name
  const text = problem ? reason : `Server "${server}" could not do this: ${reason}.`
  return {
    outcome: failedOutcome(attempt, text, problem),
    decision: DENIED.some((kind) => isProblem(error, kind)) ? 'denied' : 'failed',
    reason,
    ...ruleOf(problem),
    responseBytes: 0,
    ...(SHED.some((kind) => isProblem(error, kind)) ? { counted: 'shed' } : {}),
  }
}

/** The content rule or the hook that refused, for the audit. */
function ruleOf(problem: Problem | null): Pick<Ending, 'rule'> {
  const { rule, hook, asked } = problem?.extra ?? {}
  if (typeof asked === 'string') return { rule: asked }
  if (typeof hook === 'string') return { rule: `hook:${hook}` }
  return typeof rule === 'string' ? { rule: `content:${rule}` } : {}
}

/** It was the caller who gave up, or they are no longer admitted: then that is the reason. */
function cancelled({ request: { signal } }: Attempt): Ending {
  const revoked = isProblem(signal.reason) ? signal.reason.message : null
  const error = { code: INTERNAL_ERROR, message: revoked ?? 'The call was cancelled.' }
  const reason = revoked ?? 'cancelled by the caller'
  return { outcome: { kind: 'error', error }, decision: 'cancelled', reason, responseBytes: 0 }
}

const TOLD = ['rule', 'hook', 'kind', 'approval'] as const

/** What a client may want to act upon, beside the words. */
function detailsOf(extra: Problem['extra']): Readonly<Record<string, string>> {
  const { retryAt } = extra
  const told = TOLD.flatMap((key) => {
    const value = extra[key]
    return typeof value === 'string' ? [[key, value] as const] : []
  })
  const when = typeof retryAt === 'number' ? { retryAt: new Date(retryAt).toISOString() } : {}
  return { ...when, ...Object.fromEntries(told) }
}

/** A tool's failure is a result that the model can read; everything else fails as a JSON-RPC error. */
function failedOutcome(attempt: Attempt, text: string, problem: Problem | null): CallOutcome {
  // A state that is not valid is the client's mistake, not the tool's: no model should read it.
  if (problem?.kind.code === INPUT_EXPIRED.code)
    return { kind: 'error', error: { code: INVALID_PARAMS, message: text } }
  const code = problem?.kind.code ?? 'tools/upstream-failed'
  const details: Json = { code, ...detailsOf(problem?.extra ?? {}) }
  if (attempt.request.method !== 'tools/call') {
    return { kind: 'error', error: { code: INTERNAL_ERROR, message: text, data: details } }
  }
  const content = [{ type: 'text', text }]
  return {
    kind: 'complete',
    result: Payload.ofValue({ content, isError: true, _meta: { 'io.gatehouse/problem': details } }),
  }
}
