import { createHash } from 'node:crypto'
import { canonicalJson, Problem } from '#kernel'
import { KEY_REUSED, OUTCOME_UNKNOWN, STILL_RUNNING, STORE_DOWN } from '../problems.ts'
import * as store from '../store.ts'
import type { ToolsTables } from '../tables.ts'
import type { Attempt, Target } from './attempt.ts'
import type { CallDeps } from './deps.ts'
import type { Ending } from './ending.ts'
import { isHarmlessToRepeat } from './repeatable.ts'
import { fromStored, toStored } from './stored-ending.ts'

type Claim = ToolsTables['tools_once']
type Keyed = {
  readonly key: string
  readonly requestHash: string
  readonly attempt: Attempt
  readonly target: Target
  readonly run: () => Promise<Ending>
}

const KEEP_MS = 24 * 60 * 60_000
/** Of one user, so that nobody can fill the database for all. */
const QUOTA = { rows: 10_000, bytes: 67_108_864 } as const
/** A small outcome is looked at with the quota only now and then; a large one at once. */
const TRIM = { bytes: 65_536, chance: 1 / 64 } as const
const POLL_MS = { first: 25, longest: 500 }

/**
 * Since 2026-07-28 a broken stream loses the call and clients make it again. With an idempotency key the repeat gets
 * the first outcome and nothing runs twice; the claim is durable before the server is asked. A call whose end nobody
 * knows (its replica died, its server fell silent, its caller left) is made again only where the tool says that this
 * is harmless. Each round of a call that asks its caller is a call of its own under the same key.
 */
export async function once(
  deps: CallDeps,
  attempt: Attempt,
  target: Target,
  run: () => Promise<Ending>,
): Promise<Ending> {
  const { idempotencyKey } = attempt.request
  if (idempotencyKey === undefined) return run()
  const keyed = { ...identify(attempt, idempotencyKey), attempt, target, run }
  const leave = await takeTurn(deps, keyed)
  try {
    return await claimAndRun(deps, keyed)
  } finally {
    leave()
  }
}

/** Keys belong to one user of one gateway; the arguments, and the answers of a round, may not change under one. */
function identify(attempt: Attempt, idempotencyKey: string): { key: string; requestHash: string } {
  const { admission, requestState, inputResponses } = attempt.request
  const parts = [admission.userId, admission.gateway, idempotencyKey, requestState ?? null]
  const answers = inputResponses === undefined ? '' : canonicalJson(inputResponses)
  return { key: digest(JSON.stringify(parts)), requestHash: digest(`${attempt.argsHash ?? ''}\0${answers}`) }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

/** In one process, calls with the same key go one after the other. */
async function takeTurn(deps: CallDeps, { key, attempt, target }: Keyed): Promise<() => void> {
  const giveUp = AbortSignal.any([attempt.request.signal, AbortSignal.timeout(target.server.config.timeout_ms)])
  for (let first = deps.running.get(key); first !== undefined; first = deps.running.get(key)) {
    await endOf(first, giveUp)
    if (giveUp.aborted) throw stillRunning()
  }
  const turn = Promise.withResolvers<void>()
  deps.running.set(key, turn.promise)
  return () => {
    deps.running.delete(key)
    turn.resolve()
  }
}

function endOf(first: Promise<unknown>, giveUp: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const stop = (): void => {
      giveUp.removeEventListener('abort', stop)
      resolve()
    }
    giveUp.addEventListener('abort', stop, { once: true })
    if (giveUp.aborted) return stop()
    void first.then(stop, stop)
  })
}

/** Claims the key, or waits for what became of the call that has it, wherever it runs. */
async function claimAndRun(deps: CallDeps, keyed: Keyed): Promise<Ending> {
  const giveUpAt = deps.clock.now() + keyed.target.server.config.timeout_ms
  for (let pauseMs = POLL_MS.first; ; pauseMs = Math.min(pauseMs * 2, POLL_MS.longest)) {
    const claim = await claimOnce(deps, keyed)
    if (claim === 'claimed') return runClaimed(deps, keyed)
    if (claim.request_hash !== keyed.requestHash) {
      throw new Problem(KEY_REUSED, 'This idempotency key was used for another call. Use a new key for each new call.')
    }
    if (claim.state === 'done') return replay(deps, keyed, claim)
    if (!(await mayStillEnd(deps, claim))) return unknownOutcome(deps, keyed)
    if (keyed.attempt.request.signal.aborted || deps.clock.now() >= giveUpAt) throw stillRunning()
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}

/** Whose row says "running" with our own name was left by an earlier life of this process: ours wait in `takeTurn`. */
async function mayStillEnd(deps: CallDeps, claim: Claim): Promise<boolean> {
  if (claim.state === 'unknown' || claim.replica === deps.replicaId) return false
  return deps.isReplicaAlive(claim.replica, claim.started_at)
}

async function claimOnce(deps: CallDeps, { key, requestHash, attempt }: Keyed): Promise<'claimed' | Claim> {
  const owner = attempt.request.admission.userId
  const now = deps.clock.now()
  const row = {
    key,
    request_hash: requestHash,
    replica: deps.replicaId,
    started_at: now,
    expires_at: now + KEEP_MS,
    owner,
  }
  try {
    return await store.claimOnce(deps.db, row)
  } catch (cause) {
    deps.log.error({ err: cause }, 'an idempotency key could not be claimed')
    throw new Problem(
      STORE_DOWN,
      'The store cannot be reached, so nobody knows whether this idempotency key was used. The call was not made; try again in a moment.',
      { cause },
    )
  }
}

async function runClaimed(deps: CallDeps, { key, attempt, run }: Keyed): Promise<Ending> {
  try {
    const ending = await run()
    await settle(deps, () => keep(deps, { key, attempt, ending }))
    return ending
  } catch (error) {
    // What was never sent may be sent yet; of anything else nobody knows how it ended.
    await settle(deps, () =>
      attempt.isSent
        ? store.finishOnce(deps.db, key, { state: 'unknown', outcome: null, bytes: 0 })
        : store.releaseOnce(deps.db, key),
    )
    throw error
  }
}

async function keep(deps: CallDeps, kept: { key: string; attempt: Attempt; ending: Ending }): Promise<void> {
  const outcome = toStored(deps.seal, kept.ending)
  const bytes = Buffer.byteLength(outcome)
  await store.finishOnce(deps.db, kept.key, { state: 'done', outcome, bytes })
  if (bytes < TRIM.bytes && Math.random() > TRIM.chance) return
  await store.trimOnce(deps.db, kept.attempt.request.admission.userId, QUOTA)
}

/** When this fails the row stays "running", which reads as unknown: still nothing runs twice. */
async function settle(deps: CallDeps, write: () => Promise<void>): Promise<void> {
  await write().catch((error: unknown) => deps.log.error({ err: error }, 'the outcome of a keyed call is not kept'))
}

async function replay(deps: CallDeps, keyed: Keyed, claim: Claim): Promise<Ending> {
  const ending = claim.outcome === null ? null : fromStored(deps.seal, claim.outcome)
  if (ending !== null) return ending
  if (isHarmlessToRepeat(keyed.attempt.request.method, keyed.target)) return runAgain(deps, keyed)
  throw new Problem(
    OUTCOME_UNKNOWN,
    'This call was already made; its result was too large or is no longer kept, and it is not made again.',
  )
}

async function unknownOutcome(deps: CallDeps, keyed: Keyed): Promise<Ending> {
  if (isHarmlessToRepeat(keyed.attempt.request.method, keyed.target)) return runAgain(deps, keyed)
  throw new Problem(
    OUTCOME_UNKNOWN,
    'The first call with this idempotency key was interrupted, so whether it took effect is not known. It was not made again. Check at the server, then call with a new key.',
  )
}

async function runAgain(deps: CallDeps, keyed: Keyed): Promise<Ending> {
  await store.reclaimOnce(deps.db, keyed.key, { replica: deps.replicaId, at: deps.clock.now() })
  return runClaimed(deps, keyed)
}

function stillRunning(): Problem {
  return new Problem(
    STILL_RUNNING,
    'The first call with this idempotency key is still running, and it is not made twice. Ask again with the same key.',
  )
}
