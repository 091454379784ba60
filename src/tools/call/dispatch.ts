import { isProblem, Problem, type JsonObject } from '#kernel'
import {
  BLOCKED_ADDRESS,
  BROKEN_REPLY,
  INPUT_EXPIRED,
  NEEDS_CONSENT,
  OVERLOADED,
  SERVER_REMOVED,
  TIMED_OUT,
  UNREACHABLE,
} from '../problems.ts'
import type { AskRequest, CallerPort, CallerSession, Reply, SourceCall } from '../source.ts'
import type { Attempt, Target } from './attempt.ts'
import { screenAnswers } from './content.ts'
import { withoutClaimedIdentity, type Credential } from './credential.ts'
import type { CallDeps } from './deps.ts'
import { isHarmlessToRepeat } from './repeatable.ts'
import { openState } from './request-state.ts'
import { screenCaller } from './screened-caller.ts'

const MAX_ROUNDS = 16

/**
 * Makes the call at its server. When the server needs input and the caller can be asked in mid-call, asks and goes on,
 * round after round; otherwise the reply goes back as it is and the caller's retry continues here.
 */
export async function dispatch(
  deps: CallDeps,
  attempt: Attempt,
  going: { target: Target; params: JsonObject; credential: Credential },
): Promise<Reply> {
  const { request } = attempt
  const caller = screenCaller(deps, { attempt, target: going.target })
  let answers =
    request.inputResponses && (await screenAnswers(deps, { attempt, target: going.target }, request.inputResponses))
  let state = openState(deps, attempt, going.target)
  for (let round = 0; ; round++) {
    const sourceCall = toSourceCall(attempt, going, { answers, state, session: caller.session })
    const reply = await reachedLeg({ attempt, target: going.target, port: caller.port }, sourceCall)
    await caller.settled()
    if (reply.kind !== 'input' || !caller.ask || round >= MAX_ROUNDS) return reply
    answers = await askAll(caller.ask, reply.requests, request.signal)
    state = reply.state
  }
}

type Way = { readonly attempt: Attempt; readonly target: Target; readonly port: CallerPort }

async function askAll(
  ask: NonNullable<Attempt['request']['ask']>,
  requests: Readonly<Record<string, AskRequest>>,
  signal: AbortSignal,
): Promise<JsonObject> {
  return Object.keys(requests).length === 0 ? {} : ask(requests, signal)
}

const RETRY_PAUSE_MS = 100

/** One leg, made again a few times when the server did not answer at all and a second call does no harm. */
async function reachedLeg(way: Way, sourceCall: SourceCall): Promise<Reply> {
  const { attempt, target } = way
  for (let tries = 0; ; tries++) {
    try {
      return await leg(way, sourceCall)
    } catch (error) {
      const mayRetry =
        isProblem(error, UNREACHABLE) && !attempt.request.signal.aborted && sourceCall.state === undefined
      const isLast = tries >= target.server.config.retries || target.server.breaker.isOpen
      if (!mayRetry || isLast || !isHarmlessToRepeat(sourceCall.method, target)) throw error
      await new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE_MS * (tries + 1)))
    }
  }
}

/** One request to the server, inside its concurrency limit and watched by its circuit breaker. */
async function leg({ attempt, target, port }: Way, sourceCall: SourceCall): Promise<Reply> {
  const { server } = target
  const { userId, principal } = attempt.request.admission
  const turn = server.slots.acquire(userId, attempt.request.signal)
  if (turn) await turn
  const { isSent } = attempt
  attempt.isSent = true
  try {
    const reply = await server.source.call(sourceCall, port)
    server.breaker.succeeded()
    return reply
  } catch (error) {
    if (server.isClosing && !attempt.request.signal.aborted) throw removed(server.config.name, error)
    if (isRefusal(error)) attempt.isSent = isSent
    if (isOutage(error) && !attempt.request.signal.aborted) {
      server.breaker.failed({ userId, keyId: principal.keyId })
      server.noticeOutage()
    }
    throw error
  } finally {
    server.slots.release(userId)
  }
}

function removed(server: string, cause: unknown): Problem {
  const detail = `Server "${server}" was removed or changed while it worked on this call, so whether the call took effect is not known.`
  return new Problem(SERVER_REMOVED, detail, { cause })
}

/** The source said no before it sent anything, or the server before it did anything. */
function isRefusal(error: unknown): boolean {
  return [OVERLOADED, BLOCKED_ADDRESS, NEEDS_CONSENT, INPUT_EXPIRED].some((kind) => isProblem(error, kind))
}

/** Failures to get an answer. A refusal, a cancelled call or a full line says nothing about the server's health. */
function isOutage(error: unknown): boolean {
  if (!isProblem(error)) return true
  return isProblem(error, UNREACHABLE) || isProblem(error, TIMED_OUT) || isProblem(error, BROKEN_REPLY)
}

function toSourceCall(
  attempt: Attempt,
  going: { target: Target; params: JsonObject; credential: Credential },
  round: { answers: JsonObject | undefined; state: string | undefined; session: CallerSession },
): SourceCall {
  const { request } = attempt
  const { identity } = going.credential
  return {
    method: request.method,
    params: withoutClaimedIdentity(going.params),
    session: round.session,
    wantsProgress: request.wantsProgress,
    signal: request.signal,
    timeoutMs: going.target.server.config.timeout_ms,
    trace: attempt.trace,
    ...(identity === undefined ? {} : { identity }),
    ...(round.answers === undefined ? {} : { inputResponses: round.answers }),
    ...(round.state === undefined ? {} : { state: round.state }),
    ...(request.logLevel === undefined ? {} : { logLevel: request.logLevel }),
    ...(request.task === undefined ? {} : { task: request.task }),
    ...(request.paramHeaders === undefined ? {} : { paramHeaders: request.paramHeaders }),
  }
}
