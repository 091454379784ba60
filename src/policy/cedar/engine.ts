import {
  isAuthorizedPartial,
  preparsePolicySet,
  statefulIsAuthorized,
  type CedarValueJson,
  type DetailedError,
  type EntityJson,
  type PolicyJson,
} from '@cedar-policy/cedar-wasm/nodejs'
import type { Uid } from './subject.ts'

/** Policies that are decided together, by id. The same object is parsed once, however often it is asked. */
export type PolicySet = Readonly<Record<string, PolicyJson>>

/** Permits everything, so that only a forbid is in the way. No rule may have an id that begins like a grant's. */
export const ALWAYS: PolicySet = {
  grant_always: {
    effect: 'permit',
    principal: { op: 'All' },
    action: { op: 'All' },
    resource: { op: 'All' },
    conditions: [],
  },
}

export type Asked = {
  readonly principal: Uid
  readonly action: Uid
  readonly resource: Uid
  readonly context: Readonly<Record<string, CedarValueJson>>
  readonly entities: readonly EntityJson[]
}

/** `reasons`: the deciding policies. An allow has permits, a deny has forbids or, where no rule allowed it, none. */
export type Answer = {
  readonly effect: 'allow' | 'deny'
  readonly reasons: readonly string[]
  /** Policies that could not be evaluated and so did not count. */
  readonly errors: readonly { readonly policy: string; readonly message: string }[]
}

/** Cedar keeps what it has parsed under a name and never lets go of it, so there are only so many names. */
const SLOTS = 512
const slots = new Map<PolicySet, string>()

/** Cedar's answer. Throws when a policy set cannot be parsed, which `checkPolicies` has made sure of before. */
export function evaluate(policies: PolicySet, asked: Asked): Answer {
  const { principal, action, resource, context, entities } = asked
  const answer = statefulIsAuthorized({
    principal,
    action,
    resource,
    context: { ...context },
    entities: [...entities],
    preparsedPolicySetId: slotOf(policies),
    validateRequest: false,
  })
  if (answer.type === 'failure') throw cedarError('a request could not be evaluated', answer.errors)
  const { decision, diagnostics } = answer.response
  const errors = diagnostics.errors.map(({ policyId, error }) => ({ policy: policyId, message: error.message }))
  return { effect: decision, reasons: diagnostics.reason.toSorted(), errors }
}

/** A question in which null stands for anybody, or for anything. */
export type AskedInPart = Omit<Asked, 'principal' | 'resource'> & {
  readonly principal: Uid | null
  readonly resource: Uid | null
}

/** The answer as far as it can be told while this and some members of the context are not known. */
export function evaluateInPart(
  policies: PolicySet,
  asked: AskedInPart,
  unknown: readonly string[],
): 'allow' | 'deny' | 'depends' {
  const { principal, action, resource, entities } = asked
  const open = Object.fromEntries(unknown.map((name) => [name, { __extn: { fn: 'unknown', arg: name } }]))
  const answer = isAuthorizedPartial({
    principal,
    action,
    resource,
    context: { ...asked.context, ...open },
    entities: [...entities],
    policies: { staticPolicies: { ...policies } },
    validateRequest: false,
  })
  if (answer.type === 'failure') throw cedarError('a request could not be evaluated in part', answer.errors)
  return answer.response.decision ?? 'depends'
}

function slotOf(policies: PolicySet): string {
  const known = slots.get(policies)
  if (known !== undefined) {
    slots.delete(policies)
    slots.set(policies, known)
    return known
  }
  const slot = freeSlot()
  const parsed = preparsePolicySet(slot, { staticPolicies: { ...policies } })
  if (parsed.type === 'failure') throw cedarError('policies could not be parsed', parsed.errors)
  slots.set(policies, slot)
  return slot
}

/** The one that was asked longest ago makes room. */
function freeSlot(): string {
  const [oldest] = slots
  if (slots.size < SLOTS || oldest === undefined) return `set-${slots.size}`
  slots.delete(oldest[0])
  return oldest[1]
}

function cedarError(what: string, errors: readonly DetailedError[]): Error {
  return new Error(`${what}: ${errors.map(({ message }) => message).join('; ')}`)
}
