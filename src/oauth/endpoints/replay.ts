import { setTimeout as pause } from 'node:timers/promises'
import { isJsonObject, type Clock, type JsonObject } from '#kernel'
import type { Sealed } from '../sealed.ts'
import type { OauthStore } from '../store.ts'

/** So long after the first use the same request to refresh gets the same answer; then its use is theft. */
const REPLAY_MS = 30_000
const WAIT_MS = 10_000
const POLL_MS = 25

export type TokenAnswer = { readonly status: number; readonly body: JsonObject }

/**
 * Honest clients send one refresh token several times at once, from several windows or after a lost answer. Whoever
 * comes first, on whatever replica, gets it exchanged; everybody else within half a minute gets that same answer.
 */
export async function answerOnce(
  deps: { store: OauthStore; sealed: Sealed; clock: Clock },
  request: string,
  exchange: () => Promise<TokenAnswer>,
): Promise<TokenAnswer> {
  const { store, sealed, clock } = deps
  const ref = sealed.refOf(`refresh ${request}`)
  if (!(await store.replay.begin(ref, clock.now()))) {
    const earlier = await waitForAnswer(deps, ref)
    if (earlier !== null) return earlier
    return exchange() // the window is over: the library finds the reuse and ends the family
  }
  try {
    const answer = await exchange()
    if (answer.status === 200) await store.replay.finish(ref, sealed.seal(`replay/${ref}`, { ...answer }))
    else await store.replay.giveUp(ref)
    return answer
  } catch (error) {
    await store.replay.giveUp(ref)
    throw error
  }
}

async function waitForAnswer(
  { store, sealed, clock }: { store: OauthStore; sealed: Sealed; clock: Clock },
  ref: string,
): Promise<TokenAnswer | null> {
  const until = performance.now() + WAIT_MS
  while (performance.now() < until) {
    const row = await store.replay.find(ref)
    if (row === undefined || clock.now() - row.begun_at > REPLAY_MS) return null
    if (row.answer !== null) return toAnswer(sealed.open(`replay/${ref}`, row.answer))
    await pause(POLL_MS)
  }
  return null
}

function toAnswer({ status, body }: JsonObject): TokenAnswer | null {
  return typeof status === 'number' && isJsonObject(body) ? { status, body } : null
}
