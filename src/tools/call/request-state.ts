import { Problem, type JsonObject } from '#kernel'
import { INPUT_EXPIRED } from '../problems.ts'
import type { Seal } from '../seal.ts'
import type { CallRequest } from '../tools.ts'
import type { Attempt, Target } from './attempt.ts'

/**
 * The state of a call that waits for its caller's answers, carried by the client (MCP 2026-07-28, MRTR). Sealed, and
 * bound to the account, the gateway, the very arguments and the server, with an end: nobody else can use it, and for
 * nothing else. `pinned` calls live in one replica, which is named in it.
 */
const PURPOSE = 'request-state'
const LIFETIME_MS = 10 * 60_000

/** What the caller has to bring back together with the answers. */
export function sealState(
  deps: { seal: Seal; clock: { now(): number }; replicaId: string },
  attempt: Attempt,
  waiting: { target: Target; state: string | undefined; pinned: boolean },
): string {
  return deps.seal.seal(PURPOSE, {
    ...boundTo(attempt.request, waiting.target, attempt.argsHash),
    ...(waiting.state === undefined ? {} : { state: waiting.state }),
    ...(waiting.pinned ? { replica: deps.replicaId } : {}),
    ...(attempt.approval === null ? {} : { approval: attempt.approval.id, round: attempt.approval.round }),
    until: deps.clock.now() + LIFETIME_MS,
  })
}

/** The server's own state out of a sealed one; throws when it is not this caller's for this very call. */
export function openState(
  deps: { seal: Seal; clock: { now(): number } },
  attempt: Attempt,
  target: Target,
): string | undefined {
  const opened = openBound(deps, attempt, target)
  return typeof opened?.['state'] === 'string' ? opened['state'] : undefined
}

/** The approval that a call was begun with, and which of its rounds this is; null where it needed none. */
export function roundOf(
  deps: { seal: Seal; clock: { now(): number } },
  attempt: Attempt,
  target: Target,
): { id: string; round: number } | null {
  // A state that is not a server's may be that of our own question.
  if (deps.seal.open(PURPOSE, attempt.request.requestState ?? '') === null) return null
  const { approval: id, round } = openBound(deps, attempt, target) ?? {}
  return typeof id === 'string' && typeof round === 'number' ? { id, round } : null
}

/** What is in the state, once it is known to be this call's; null where there is none. */
function openBound(
  deps: { seal: Seal; clock: { now(): number } },
  attempt: Attempt,
  target: Target,
): JsonObject | null {
  const { requestState } = attempt.request
  if (requestState === undefined) return null
  const opened = deps.seal.open(PURPOSE, requestState)
  const expected: JsonObject = boundTo(attempt.request, target, attempt.argsHash)
  const isBound = opened !== null && Object.entries(expected).every(([key, value]) => opened[key] === value)
  const until = opened?.['until']
  if (!isBound || typeof until !== 'number' || until < deps.clock.now()) {
    throw new Problem(
      INPUT_EXPIRED,
      'This requestState is not valid for this call (any more). Make the call anew, without it.',
    )
  }
  return opened
}

/** The replica that a sealed state has to come back to, or null when any will do. */
export function ownerOfState(seal: Seal, requestState: string): string | null {
  const replica = seal.open(PURPOSE, requestState)?.['replica']
  return typeof replica === 'string' ? replica : null
}

function boundTo(request: CallRequest, target: Target, argsHash: string | null): JsonObject {
  const { admission } = request
  return { user: admission.userId, gateway: admission.gateway, server: target.server.config.name, args: argsHash }
}
