import type { AuditEvent } from '#audit'
import type { Verdict } from '#policy'
import type { DecisionReason, Metrics } from '#telemetry'
import { Payload } from '../payload.ts'
import type { CallOutcome } from '../tools.ts'
import type { Attempt } from './attempt.ts'
import type { CallDeps } from './deps.ts'
import type { Ending } from './ending.ts'
import { isNamedByAddress, listedNameOf, nameIn } from './named.ts'
import { INTERNAL_ERROR } from './refused.ts'

/** Writes the attempt down and only then hands the outcome on: what could not be recorded is withheld. */
export async function record(
  deps: Pick<CallDeps, 'audit' | 'keepPayload' | 'metrics' | 'clock' | 'log'>,
  attempt: Attempt,
  ending: Ending,
): Promise<CallOutcome> {
  const event = toEvent(attempt, ending, deps.clock.now())
  countDecision(deps.metrics, attempt.verdict)
  deps.metrics.call({
    gateway: attempt.request.admission.gateway,
    server: attempt.target?.server.config.name ?? 'none',
    outcome: ending.counted ?? (ending.decision === 'allowed' ? 'ok' : ending.decision),
    seconds: (event.latencyMs ?? 0) / 1_000,
  })
  try {
    await deps.audit.record(event, deps.keepPayload(attempt, ending))
    return ending.outcome
  } catch (error) {
    deps.log.error({ err: error, traceId: attempt.traceId }, 'a call could not be recorded, so its result was withheld')
    return withheld(attempt)
  }
}

/** Once for an attempt, however often the policy was asked about it. */
function countDecision({ policy }: Pick<Metrics, 'policy'>, verdict: Verdict | null): void {
  if (verdict === null) return
  policy.decided(verdict.effect, reasonOf(verdict))
  if (verdict.shadow !== undefined) policy.shadowDiffered(verdict.shadow.effect)
}

/** For numbers: ids of grants and rules are not among the labels. */
function reasonOf({ rule, policy }: Verdict): DecisionReason {
  if (rule === null) return 'nothing'
  if (rule.startsWith('hook:')) return 'hook'
  if (policy !== undefined) return rule.startsWith('grant_') ? 'grant' : 'rule'
  return rule === 'gateway-key' ? 'key' : rule === 'admin' ? 'admin' : 'open'
}

function toEvent(attempt: Attempt, ending: Ending, now: number): AuditEvent {
  const { admission, session, params, face, method, requestBytes } = attempt.request
  const { name, version } = session.clientInfo
  return {
    what: method,
    decision: ending.decision,
    reason: ending.reason,
    userId: admission.userId,
    keyId: admission.keyId,
    client: typeof name === 'string' ? `${name}/${typeof version === 'string' ? version : '?'}` : null,
    face,
    gateway: admission.gateway,
    server: attempt.target?.server.config.name ?? null,
    tool: attempt.target?.original ?? null,
    toolName: nameIn(params),
    ...withoutFound(attempt),
    latencyMs: Math.max(0, now - attempt.startedAt),
    requestBytes: requestBytes ?? null,
    responseBytes: ending.responseBytes,
    argsHash: attempt.argsHash,
    traceId: attempt.traceId,
    ...extraOf(attempt, ending),
  }
}

/**
 * An address is named in the record, and may hold what a content rule found. Then it is named as it went to the server,
 * or where it did not go, by what the server lists: its own words, not the caller's.
 */
function withoutFound(attempt: Attempt): Pick<AuditEvent, 'tool' | 'toolName'> {
  const { request, target, passed, rules, namedAs } = attempt
  if (target === null) return namedAs === null ? {} : { toolName: namedAs }
  if (!isNamedByAddress(request.method)) return {}
  if (namedAs !== null) return { tool: namedAs, toolName: namedAs }
  if (rules.length === 0) return {}
  const sent = passed === null ? listedNameOf(target) : nameIn(passed)
  return sent === target.original ? {} : { tool: sent, toolName: sent }
}

const MAX_RULES_TOLD = 16

/** What decided, and the content rules that found something: which, in which version, how often; never what. */
function extraOf({ rules, verdict, hooks, approval }: Attempt, ending: Ending): Pick<AuditEvent, 'extra'> {
  const rule = ending.rule === undefined ? verdict?.rule : ending.rule
  const content = rules.slice(0, MAX_RULES_TOLD).map(({ name, id, version, effect, found }) => {
    return { rule: name, id, version, effect, found }
  })
  const extra = {
    ...(rule === undefined ? {} : { rule }),
    ...policyOf(verdict),
    ...(content.length === 0 ? {} : { content }),
    ...(approval === null ? {} : { approval: approval.id }),
    ...(hooks.length === 0 ? {} : { hooks: hooks.slice(0, MAX_RULES_TOLD) }),
  }
  return Object.keys(extra).length === 0 ? {} : { extra }
}

/** What the policy said, wherever it was asked for more than the key: so that a record explains itself, and can be replayed. */
function policyOf(verdict: Verdict | null): NonNullable<AuditEvent['extra']> {
  if (verdict === null) return {}
  const { effect, rule, rules, policy, shadow } = verdict
  const tried = shadow === undefined ? {} : { shadow }
  if (policy === undefined && effect === 'allow') return tried
  const access = { effect, ...(rule === null ? {} : { rules: rules?.slice(0, MAX_RULES_TOLD) ?? [rule] }) }
  return { access, ...(policy === undefined ? {} : { policyVersion: policy }), ...tried }
}

function withheld(attempt: Attempt): CallOutcome {
  const text = attempt.isSent
    ? 'The audit log cannot be written, so the result of this call is withheld. Tell the operator; the call may have taken effect.'
    : 'The audit log cannot be written, so this call was not made. Tell the operator, and try again in a moment.'
  if (attempt.request.method !== 'tools/call') return { kind: 'error', error: { code: INTERNAL_ERROR, message: text } }
  return { kind: 'complete', result: Payload.ofValue({ content: [{ type: 'text', text }], isError: true }) }
}
