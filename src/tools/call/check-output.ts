import { isJsonObject, type Json, type JsonObject } from '#kernel'
import type { Verdict } from '#policy'
import { Payload } from '../payload.ts'
import type { Reply } from '../source.ts'
import type { CallOutcome } from '../tools.ts'
import type { Attempt, Target } from './attempt.ts'
import type { CallDeps } from './deps.ts'
import type { Ending } from './ending.ts'
import { sealState } from './request-state.ts'
import { sealTaskId } from './task-id.ts'

/** What may go back to the caller, in the gateway's names: aliased addresses, sealed states and task ids. */
export function checkOutput(
  deps: CallDeps,
  attempt: Attempt,
  ended: { target: Target; reply: Reply; verdict: Verdict },
): Ending {
  const { reply, verdict } = ended
  const allowed = { decision: 'allowed', rule: verdict.rule, reason: verdict.reason } as const
  switch (reply.kind) {
    case 'complete': {
      const result = inGatewayNames(reply.result, attempt, ended.target)
      const reason = reply.isError ? 'the tool answered with an error' : verdict.reason
      const decision = reply.isError ? 'failed' : 'allowed'
      return {
        ...allowed,
        decision,
        reason,
        outcome: { kind: 'complete', result },
        responseBytes: result.bytes().length,
        ...(reply.isError ? { counted: 'error' } : {}),
      }
    }
    case 'input': {
      const { target } = ended
      const requestState = sealState(deps, attempt, { target, state: reply.state, pinned: reply.pinned })
      const outcome: CallOutcome = { kind: 'input', requests: reply.requests, requestState }
      return { ...allowed, reason: 'the server asks the caller', outcome, responseBytes: 0 }
    }
    case 'task': {
      const task = { ...reply.task, taskId: sealTaskId(deps.seal, attempt, ended.target, reply.task['taskId']) }
      return { ...allowed, reason: 'the server made it a task', outcome: { kind: 'task', task }, responseBytes: 0 }
    }
    case 'error': {
      // Not its words: they may quote the arguments.
      const outcome: CallOutcome = { kind: 'error', error: reply.error }
      return {
        ...allowed,
        decision: 'failed',
        reason: `the server answered with error ${reply.error.code}`,
        outcome,
        responseBytes: 0,
        counted: 'error',
      }
    }
  }
}

function inGatewayNames(result: Payload, attempt: Attempt, target: Target): Payload {
  if (attempt.request.method.startsWith('tasks/')) return withTaskId(result, attempt)
  const { alias } = target
  return alias ? Payload.ofValue(withShownUris(result.value(), alias)) : result
}

function withTaskId(result: Payload, attempt: Attempt): Payload {
  const value = result.value()
  return value['taskId'] === undefined
    ? result
    : Payload.ofValue({ ...value, taskId: attempt.request.params['taskId'] })
}

function withShownUris(value: JsonObject, alias: { shown: string; original: string }): JsonObject {
  const contents = value['contents']
  if (!Array.isArray(contents)) return value
  const rename = (part: Json): Json =>
    isJsonObject(part) && part['uri'] === alias.original ? { ...part, uri: alias.shown } : part
  return { ...value, contents: contents.map(rename) }
}
