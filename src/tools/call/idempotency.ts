import { createHash } from 'node:crypto'
import { Problem, isJsonObject } from '#kernel'
import { Payload } from '../payload.ts'
import { KEY_REUSED, OUTCOME_UNKNOWN } from '../problems.ts'
import { claimOnce, finishOnce, releaseOnce } from '../store.ts'
import type { ToolsTables } from '../tables.ts'
import type { Attempt, Target } from './attempt.ts'
import type { CallDeps } from './deps.ts'
import type { Ending } from './ending.ts'

const KEEP_MS = 24 * 60 * 60_000
const MAX_KEPT_BYTES = 1_048_576
const POLL_MS = 100

/**
 * Since 2026-07-28 a broken stream loses the call and clients make it again. With an idempotency key the repeat gets
 * the first outcome and nothing runs twice; the claim is durable before the server is asked. A call whose replica died
 * in the middle has an unknown outcome: it is made again only where the tool says that this is harmless.
 */
export async function once(
  deps: CallDeps,
  attempt: Attempt,
  target: Target,
  run: () => Promise<Ending>,
): Promise<Ending> {
  const { idempotencyKey, admission, requestState } = attempt.request
  if (idempotencyKey === undefined || requestState !== undefined) return run()
  const key = createHash('sha256')
    .update(JSON.stringify([admission.userId, admission.gateway, idempotencyKey]))
    .digest('base64url')
  const claim = await claimOnce(deps.db, claimRow(deps, attempt, key))
  if (claim === 'claimed') return runClaimed(deps, key, run)
  if (claim.request_hash !== attempt.argsHash) {
    throw new Problem(KEY_REUSED, 'This idempotency key was used for another call. Use a new key for each new call.')
  }
  return repeat(deps, { attempt, target, claim, run })
}

function claimRow(deps: CallDeps, attempt: Attempt, key: string) {
  const now = deps.clock.now()
  return {
    key,
    request_hash: attempt.argsHash ?? '',
    replica: deps.replicaId,
    started_at: now,
    expires_at: now + KEEP_MS,
  }
}

async function runClaimed(deps: CallDeps, key: string, run: () => Promise<Ending>): Promise<Ending> {
  const running = run()
  const settled = running.then(
    () => undefined,
    () => undefined,
  )
  deps.running.set(key, settled)
  try {
    const ending = await running
    if (ending.outcome.kind === 'input' || ending.outcome.kind === 'task') await releaseOnce(deps.db, key)
    else await finishOnce(deps.db, key, toStored(ending))
    return ending
  } catch (error) {
    // Nothing is known of what the server did; only a refusal before it was asked frees the key.
    if (isProblemBeforeDispatch(error)) await releaseOnce(deps.db, key)
    throw error
  } finally {
    deps.running.delete(key)
  }
}

function isProblemBeforeDispatch(error: unknown): boolean {
  return error instanceof Problem && ['tools/circuit-open', 'tools/overloaded'].includes(error.kind.code)
}

async function repeat(
  deps: CallDeps,
  first: { attempt: Attempt; target: Target; claim: ToolsTables['tools_once']; run: () => Promise<Ending> },
): Promise<Ending> {
  const { attempt, claim } = first
  if (claim.state === 'done' && claim.outcome !== null) return fromStored(claim.outcome)
  const mine = deps.running.get(claim.key)
  if (mine) await mine
  const mayStillEnd =
    mine !== undefined || (claim.replica !== deps.replicaId && (await deps.isReplicaAlive(claim.replica)))
  if (mayStillEnd && !attempt.request.signal.aborted) {
    if (!mine) await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    const again = await claimOnce(deps.db, claimRow(deps, attempt, claim.key))
    if (again === 'claimed') return runClaimed(deps, claim.key, first.run)
    return again.state === 'done' || !mine ? repeat(deps, { ...first, claim: again }) : unknownOutcome(deps, first)
  }
  return unknownOutcome(deps, first)
}

async function unknownOutcome(
  deps: CallDeps,
  first: { attempt: Attempt; target: Target; claim: ToolsTables['tools_once']; run: () => Promise<Ending> },
): Promise<Ending> {
  if (isHarmlessToRepeat(first.target)) return runClaimed(deps, first.claim.key, first.run)
  throw new Problem(
    OUTCOME_UNKNOWN,
    'The first call with this idempotency key was interrupted, so whether it took effect is not known. It was not made again. Check at the server, then call with a new key.',
  )
}

function isHarmlessToRepeat(target: Target): boolean {
  const annotations = target.binding?.definition['annotations']
  return isJsonObject(annotations) && (annotations['readOnlyHint'] === true || annotations['idempotentHint'] === true)
}

function toStored(ending: Ending): string {
  const { outcome, ...rest } = ending
  if (outcome.kind !== 'complete') return JSON.stringify({ ...rest, outcome })
  const bytes = outcome.result.bytes()
  const result = bytes.length <= MAX_KEPT_BYTES ? bytes.toString('utf8') : null
  return JSON.stringify({ ...rest, outcome: { kind: 'complete', result } })
}

function fromStored(text: string): Ending {
  // Written by toStored above, in this shape.
  const stored = JSON.parse(text) as Ending & { outcome: { kind: string; result?: string | null } }
  const replayed = { ...stored, reason: 'the first outcome, again' }
  if (stored.outcome.kind !== 'complete') return replayed
  if (typeof stored.outcome.result !== 'string') {
    throw new Problem(
      OUTCOME_UNKNOWN,
      'This call was already made; its result was too large to be kept and it is not made again.',
    )
  }
  return { ...replayed, outcome: { kind: 'complete', result: Payload.ofBytes(Buffer.from(stored.outcome.result)) } }
}
