import { AsyncLocalStorage } from 'node:async_hooks'
import { isProblem, type Clock, type JsonObject } from '#kernel'
import type { Use, Witness } from '#http'
import { parseTraceparent, type Log } from '#telemetry'
import type { AuditEvent, Decision } from './schema.ts'
import type { Audit } from './service.ts'

/** What was written down of the request that is answered now. */
type Written = {
  readonly use: Use
  readonly traceId: string | undefined
  last: Decision | undefined
  isOver: boolean
}

const current = new AsyncLocalStorage<Written>()

/**
 * Notes that the request has a record, and puts its trace into the record, and into the first one why the caller was let
 * in; outside a request, changes nothing.
 */
export function noteInRequest(event: AuditEvent): AuditEvent {
  const written = current.getStore()
  // What a request has set going (a server that is watched from now on) is not part of it any more.
  if (!written || written.isOver) return event
  const isFirst = written.last === undefined
  written.last = event.decision
  return withTrace(isFirst ? withGrounds(event, written.use) : event, written.traceId)
}

function withTrace(event: AuditEvent, traceId: string | undefined): AuditEvent {
  return traceId === undefined || (event.traceId ?? null) !== null ? event : { ...event, traceId }
}

const MAX_RULES_TOLD = 16
/** So that nobody crowds out what else a record says with the name of a rule. */
const MAX_RULE_CHARS = 128
const cut = (rule: string): string => rule.slice(0, MAX_RULE_CHARS)

/** What was done at the admin API, and which role, token or rule allowed it or did not. */
function withGrounds(event: AuditEvent, { operation, action, grounds }: Use): AuditEvent {
  if (operation.access !== 'admin' || action === undefined || grounds === undefined) return event
  const { module, writes, about } = action
  const { rule, rules, shadow, ...rest } = grounds
  const admin = {
    module,
    operation: action.operation,
    writes,
    ...(about === null || about === 'unread' ? {} : { about: { ...about } }),
    ...rest,
    rule: rule && cut(rule),
    ...(rules === undefined ? {} : { rules: rules.slice(0, MAX_RULES_TOLD).map(cut) }),
    ...(shadow === undefined ? {} : { shadow: { ...shadow, rule: shadow.rule && cut(shadow.rule) } }),
  }
  return { ...event, extra: { ...event.extra, admin } }
}

/** Whoever knocks without end must not crowd out the records of others; what is left out is counted in the next one. */
const STRANGERS_PER_SECOND = 20

type WitnessDeps = { readonly audit: Pick<Audit, 'record'>; readonly clock: Clock; readonly log: Log }

/**
 * Gives every attempt at an operation of the API its record: rooms write down what they do themselves, and this writes
 * what they cannot know (nobody was let in, the body was not understood) or have left out. Each attempt to change
 * something has one record; one to read has one only where it was refused, or where a rule that is only tried would
 * have decided otherwise. A change that was written down as allowed
 * and then failed has a second one that says so.
 */
export function createWitness(deps: WitnessDeps): Witness {
  const strangers = createQuota(deps.clock, STRANGERS_PER_SECOND)
  return async (use, run) => {
    const written: Written = { use, traceId: traceOf(use.headers), last: undefined, isOver: false }
    const outcome = await current.run(written, () => settle(run))
    written.isOver = true
    const decision = decisionOf(outcome)
    if (!needsRecord({ use, written, decision })) return unwrap(outcome)
    const leftOut = isStranger(use) ? strangers.take() : 0
    if (leftOut === null) return unwrap(outcome)
    const event = describe(use, { decision, outcome, leftOut, traceId: written.traceId })
    await deps.audit.record(written.last === undefined ? withGrounds(event, use) : event).catch((error: unknown) => {
      // A change that nobody may know of is not told as done; a refusal stands anyway.
      if (decision === 'allowed') throw error
      deps.log.error({ err: error, operation: use.operationId }, 'an attempt could not be recorded')
    })
    return unwrap(outcome)
  }
}

/** Whoever came with a key of ours is known, also where it was refused. */
function isStranger({ caller, by }: Use): boolean {
  return (caller === undefined || caller.kind === 'anybody') && (by?.keyId ?? null) === null
}

type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown }

async function settle<T>(run: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { ok: true, value: await run() }
  } catch (error) {
    return { ok: false, error }
  }
}

function unwrap<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value
  throw outcome.error
}

function decisionOf(outcome: Outcome<unknown>): Decision {
  if (outcome.ok) return 'allowed'
  const status = isProblem(outcome.error) ? outcome.error.kind.status : 500
  return status === 401 || status === 403 ? 'denied' : 'failed'
}

function needsRecord(ended: { use: Use; written: Written; decision: Decision }): boolean {
  const { use, written, decision } = ended
  const isChange = use.operation.method !== 'GET'
  // What is only tried would decide otherwise: that is what it is tried for.
  if (written.last === undefined && use.grounds?.shadow !== undefined) return true
  if (written.last === undefined) return isChange || (decision === 'denied' && use.operation.access === 'admin')
  return isChange && written.last === 'allowed' && decision !== 'allowed'
}

function describe(
  use: Use,
  ended: { decision: Decision; outcome: Outcome<unknown>; leftOut: number; traceId: string | undefined },
): AuditEvent {
  const { decision, outcome, leftOut, traceId } = ended
  const problem = !outcome.ok && isProblem(outcome.error) ? outcome.error : undefined
  const extra: JsonObject = {
    operation: use.operationId,
    from: use.remoteAddress,
    ...(problem ? { code: problem.kind.code } : {}),
    ...(leftOut > 0 ? { leftOut } : {}),
  }
  return { what: 'api.attempted', decision, reason: reasonOf(outcome), ...whoIs(use), traceId, extra }
}

/** Never the problem's own words: they quote what was sent, and somebody may have sent a secret in the wrong place. */
function reasonOf(outcome: Outcome<unknown>): string | null {
  if (outcome.ok) return null
  return isProblem(outcome.error) ? outcome.error.kind.title : 'it failed inside the house'
}

function whoIs({ caller, by }: Use): Pick<AuditEvent, 'userId' | 'keyId' | 'face'> {
  const who = caller !== undefined && 'userId' in caller ? caller : by
  if (who === undefined) return { face: 'rest' }
  const { userId, keyId, face } = who
  return { userId, keyId, face }
}

function traceOf(headers: Headers): string | undefined {
  return parseTraceparent(headers.get('traceparent') ?? '')?.traceId
}

/** So many a second. `take` says how many were left out before this one, or null when this one is left out too. */
function createQuota(clock: Clock, perSecond: number): { take(): number | null } {
  let second = 0
  let taken = 0
  let leftOut = 0
  return {
    take() {
      const now = Math.floor(clock.now() / 1_000)
      if (now !== second) [second, taken] = [now, 0]
      if (taken >= perSecond) {
        leftOut += 1
        return null
      }
      taken += 1
      const before = leftOut
      leftOut = 0
      return before
    },
  }
}
