import type { Audit } from '#audit'
import type { Clock, Problem } from '#kernel'
import type { Log } from '#telemetry'
import { createBuckets } from './rate.ts'

/** Somebody who was not let in at a gateway. `keyId`: their key, where it is one of ours. */
export type Refusal = {
  readonly gateway: string
  readonly face: string
  readonly problem: Problem
  readonly keyId: string | null
  /** Whom they said they are. */
  readonly userId: string | undefined
  readonly remoteAddress: string
}

/**
 * Each key of ours may fill so much of the trail with refusals, and all strangers together so much: whoever knocks
 * without end must not crowd out the records of calls. What is left out is counted in the next record.
 */
const RATE = { calls: 20, seconds: 1 } as const

/** Writes into the audit trail who was not let in. Never throws and keeps nobody waiting: nothing was done. */
export function createRefusals(deps: {
  audit: Pick<Audit, 'record'>
  clock: Clock
  log: Log
}): (refusal: Refusal) => void {
  const buckets = createBuckets(deps.clock, 1_000)
  let leftOut = 0
  return (refusal) => {
    if (buckets.take(refusal.keyId ?? '', RATE) > 0) {
      leftOut += 1
      return
    }
    const { gateway, face, problem, keyId, userId, remoteAddress } = refusal
    const extra = { code: problem.kind.code, from: remoteAddress, ...(leftOut > 0 ? { leftOut } : {}) }
    leftOut = 0
    const event = {
      what: 'gateway.entered',
      decision: 'denied',
      reason: problem.message,
      keyId,
      face,
      gateway,
      extra,
    } as const
    deps.audit
      .record({ ...event, userId: userId ?? null })
      .catch((error: unknown) => deps.log.error({ err: error, gateway }, 'a refusal could not be recorded'))
  }
}
