import { APPROVAL_DENIED, APPROVAL_EXPIRED, APPROVAL_PENDING, type ShownApproval } from '#approvals'
import type { Json, JsonObject, ProblemKind } from '#kernel'
import type { HeldRow } from './held-store.ts'
import { OUTCOME_UNKNOWN } from '../problems.ts'
import type { AskRequest, RpcError } from '../source.ts'
import type { CallOutcome } from '../tools.ts'
import { QUESTION, questionOf } from './approval-question.ts'
import { INTERNAL_ERROR } from './refused.ts'

/** A held call as its task (SEP-2663), less its id. */

type Times = Pick<HeldRow, 'created_at' | 'updated_at' | 'expires_at'>

const POLL_MS = 500

export function waiting(row: Times, { id, expiresAt }: ShownApproval): JsonObject {
  const until = new Date(expiresAt).toISOString()
  return task(row, 'working', { statusMessage: `The call waits for approval ${id}, until ${until}.` })
}

/** The caller may decide. */
export function asksApproval(row: Times, approval: ShownApproval): JsonObject {
  return asking(row, { [QUESTION]: questionOf(approval) })
}

export function running(row: Times): JsonObject {
  return task(row, 'working', { statusMessage: 'The call was approved and is made now.' })
}

export function asking(row: Times, requests: Readonly<Record<string, AskRequest>>): JsonObject {
  const asked = Object.entries(requests).map(([key, { method, params }]): [string, Json] => {
    return [key, params === undefined ? { method } : { method, params }]
  })
  return task(row, 'input_required', { inputRequests: Object.fromEntries(asked) })
}

/** Null: a result that was too large to be kept. */
export function done(row: Times, outcome: CallOutcome | null): JsonObject {
  if (outcome?.kind === 'complete') return task(row, 'completed', { result: outcome.result.value() })
  if (outcome?.kind === 'error') return failed(row, outcome.error)
  const why = 'The call was made, but its result is too large to be kept. Make such calls without a task.'
  return failed(row, errorOf(OUTCOME_UNKNOWN, why))
}

export function cancelled(row: Times): JsonObject {
  return task(row, 'cancelled', {})
}

export function lost(row: Times): JsonObject {
  const why =
    'The call was interrupted, so whether it took effect is not known. Check at the server before you repeat it.'
  return failed(row, errorOf(OUTCOME_UNKNOWN, why))
}

export function refused(row: Times, { id, state, answeredBy }: ShownApproval): JsonObject {
  if (state === 'denied') {
    return failed(row, errorOf(APPROVAL_DENIED, `This call was not made: ${answeredBy ?? 'somebody'} denied it.`, id))
  }
  const why =
    state === 'used' ? 'another call with the same arguments has used its approval' : 'nobody approved it in time'
  return failed(row, errorOf(APPROVAL_EXPIRED, `This call was not made: ${why}. Make it anew.`, id))
}

export function closedQuestion(userId: string, id: string): RpcError {
  const why = `This call was not made: ${userId} closed the question whether to allow it without an answer. Make it again to be asked again.`
  return errorOf(APPROVAL_PENDING, why, id)
}

function errorOf({ code }: ProblemKind, message: string, approval?: string): RpcError {
  return { code: INTERNAL_ERROR, message, data: { code, ...(approval === undefined ? {} : { approval }) } }
}

function failed(row: Times, { code, message, data }: RpcError): JsonObject {
  // Ours, or one that came over the wire: JSON either way.
  const told = data === undefined ? {} : { data: data as Json }
  return task(row, 'failed', { error: { code, message, ...told } })
}

function task(row: Times, status: string, rest: JsonObject): JsonObject {
  const { created_at: createdAt, updated_at: updatedAt, expires_at: expiresAt } = row
  return {
    status,
    createdAt: new Date(createdAt).toISOString(),
    lastUpdatedAt: new Date(updatedAt).toISOString(),
    ttlMs: expiresAt - createdAt,
    pollIntervalMs: POLL_MS,
    ...rest,
  }
}
