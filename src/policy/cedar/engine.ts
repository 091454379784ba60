import type { CedarValueJson, DetailedError, EntityJson, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import { CedarInstance, type Cedar } from './library.ts'
import type { Uid } from './subject.ts'
import { wellFormed } from './well-formed.ts'

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
const NAMES = Array.from({ length: 512 }, (_, at) => `set-${at}`)
/** Each set that is parsed, and its name, the one that was asked longest ago first; and the names that no set has. */
const slots = new Map<PolicySet, string>()
let free = [...NAMES]

const instance = new CedarInstance(() => {
  slots.clear()
  free = [...NAMES]
})

/** Cedar's answer. Throws when a policy set cannot be parsed, which `checkPolicies` has made sure of before. */
export function evaluate(policies: PolicySet, asked: Asked): Answer {
  return asText(asked, (question) => evaluateText(policies, question))
}

function evaluateText(policies: PolicySet, asked: Asked): Answer {
  const { principal, action, resource, context, entities } = asked
  const answer = instance.ask((cedar) =>
    cedar.statefulIsAuthorized({
      principal,
      action,
      resource,
      context: { ...context },
      entities: [...entities],
      preparsedPolicySetId: slotOf(cedar, policies),
      validateRequest: false,
    }),
  )
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
export function evaluateInPart(policies: PolicySet, asked: AskedInPart, unknown: readonly string[]): InPart {
  return asText(asked, (question) => evaluateTextInPart(policies, question, unknown))
}

type InPart = 'allow' | 'deny' | 'depends'

function evaluateTextInPart(policies: PolicySet, asked: AskedInPart, unknown: readonly string[]): InPart {
  const { principal, action, resource, entities } = asked
  const open = Object.fromEntries(unknown.map((name) => [name, { __extn: { fn: 'unknown', arg: name } }]))
  const answer = instance.ask((cedar) =>
    cedar.isAuthorizedPartial({
      principal,
      action,
      resource,
      context: { ...asked.context, ...open },
      entities: [...entities],
      policies: { staticPolicies: { ...policies } },
      validateRequest: false,
    }),
  )
  if (answer.type === 'failure') throw cedarError('a request could not be evaluated in part', answer.errors)
  return answer.response.decision ?? 'depends'
}

/** Half a character, in an argument or in what a provider said, makes no question of somebody fail. It is seldom there. */
function asText<Q, A>(asked: Q, ask: (question: Q) => A): A {
  try {
    return ask(asked)
  } catch (error) {
    if (JSON.stringify(asked) === JSON.stringify(wellFormed(asked))) throw error
    return ask(wellFormed(asked))
  }
}

function slotOf(cedar: Cedar, policies: PolicySet): string {
  const known = slots.get(policies)
  if (known !== undefined) {
    slots.delete(policies)
    slots.set(policies, known)
    return known
  }
  const name = freeName()
  let isParsed = false
  try {
    const parsed = cedar.preparsePolicySet(name, { staticPolicies: { ...policies } })
    if (parsed.type === 'failure') throw cedarError('policies could not be parsed', parsed.errors)
    isParsed = true
  } finally {
    if (!isParsed) free.push(name) // one name never stands for two sets: it would answer for the wrong people
  }
  slots.set(policies, name)
  return name
}

/** The set that was asked longest ago makes room. */
function freeName(): string {
  const name = free.pop()
  if (name !== undefined) return name
  const [oldest] = slots
  if (oldest === undefined) throw new Error('no name for a policy set is free')
  slots.delete(oldest[0])
  return oldest[1]
}

function cedarError(what: string, errors: readonly DetailedError[]): Error {
  return new Error(`${what}: ${errors.map(({ message }) => message).join('; ')}`)
}
