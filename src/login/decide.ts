import { isIP } from 'node:net'
import { withinNetworks } from '#http'
import type { Role } from '#identity'
import type { LoginFactor, LoginPolicyConfig, LoginRule } from './schema.ts'

/** Somebody wants to use something. `null`: not known, which never opens a door. */
export type LoginQuestion = {
  readonly user: string
  readonly account: 'person' | 'system' | null
  /** `none`: a system account. */
  readonly role: Role | 'none' | null
  readonly groups: readonly string[] | null
  /** Everything that is used at once: the slug of a gateway or `account`, and `client:ID` of the OAuth client. */
  readonly services: readonly string[]
  readonly address: string | null
  readonly factor: LoginFactor | null
}

type Verdict = 'hit' | 'miss' | 'unknown'

export type JudgedRule = {
  readonly id: string
  readonly priority: number
  readonly effect: 'allow' | 'deny'
  readonly verdict: Verdict
  /** The conditions that are not met (`miss`), or not known to be (`unknown`). */
  readonly because: readonly string[]
}

export type LoginDecision = {
  readonly effect: 'allow' | 'deny'
  /** Id of the deciding rule; null: the default decides. */
  readonly winner: string | null
  readonly reason: string
  readonly rules: readonly JudgedRule[]
}

/** Rules ready to be asked, in their order. */
export type CompiledRules = {
  readonly default: 'allow' | 'deny'
  readonly rules: readonly CompiledRule[]
}
type CompiledRule = Pick<LoginRule, 'id' | 'priority' | 'effect'> & { readonly conditions: readonly Condition[] }
type Condition = { readonly name: string; readonly judge: (question: LoginQuestion) => Verdict }

/**
 * Holds every rule against the question. The first one that hits decides. What is not known counts against whoever asks:
 * a rule that would refuse refuses, a rule that would let in does not.
 */
export function decideLogin(compiled: CompiledRules, question: LoginQuestion): LoginDecision {
  const rules = compiled.rules.map((rule) => judgeRule(rule, question))
  const winner = rules.find(decides)
  if (winner === undefined)
    return {
      effect: compiled.default,
      winner: null,
      reason: `no rule decides; the default is ${compiled.default}`,
      rules,
    }
  const reason =
    winner.verdict === 'hit'
      ? `the rule "${winner.id}" ${winner.effect === 'allow' ? 'lets in' : 'refuses'}`
      : `the rule "${winner.id}" refuses, as ${winner.because.join(', ')} is not known`
  return { effect: winner.effect, winner: winner.id, reason, rules }
}

function decides({ verdict, effect }: JudgedRule): boolean {
  return verdict === 'hit' || (verdict === 'unknown' && effect === 'deny')
}

function judgeRule({ id, priority, effect, conditions }: CompiledRule, question: LoginQuestion): JudgedRule {
  const judged = conditions.map(({ name, judge }) => ({ name, verdict: judge(question) }))
  const named = (wanted: Verdict) => judged.filter(({ verdict }) => verdict === wanted).map(({ name }) => name)
  const missed = named('miss')
  if (missed.length > 0) return { id, priority, effect, verdict: 'miss', because: missed }
  const open = named('unknown')
  return { id, priority, effect, verdict: open.length > 0 ? 'unknown' : 'hit', because: open }
}

/** Puts rules in order (priority, then id) and makes their patterns and networks ready. */
export function compileRules(
  rules: readonly LoginRule[],
  settings: Pick<LoginPolicyConfig, 'default' | 'service_tags'>,
): CompiledRules {
  return { default: settings.default, rules: inOrder(rules).map((rule) => compileRule(rule, settings.service_tags)) }
}

/** The order in which rules are looked at. */
export function inOrder<R extends Pick<LoginRule, 'id' | 'priority'>>(rules: readonly R[]): readonly R[] {
  return rules.toSorted((a, b) => a.priority - b.priority || (a.id < b.id ? -1 : 1))
}

type Tags = LoginPolicyConfig['service_tags']

function compileRule(rule: LoginRule, tags: Tags): CompiledRule {
  const { id, priority, effect, users, roles, groups, accounts, services, service_tags, networks, factors } = rule
  const tagged = service_tags?.flatMap((tag) => (Object.hasOwn(tags, tag) ? (tags[tag] ?? []) : []))
  const conditions = [
    users && condition('user', anyOf(users), (question) => [question.user]),
    accounts && condition('account', oneOf(accounts), ({ account }) => known(account)),
    roles && condition('role', oneOf(roles), ({ role }) => known(role)),
    groups && condition('group', anyOf(groups), (question) => question.groups),
    services && condition('service', anyOf(services), (question) => question.services),
    tagged && condition('service tag', anyOf(tagged), (question) => question.services),
    networks &&
      condition('network', withinNetworks(networks), ({ address }) => known(isAddress(address) ? address : null)),
    factors && condition('factor', oneOf(factors), ({ factor }) => known(factor)),
  ].filter((made) => made !== undefined)
  return { id, priority, effect, conditions }
}

function condition(
  name: string,
  isMet: (value: string) => boolean,
  valuesOf: (question: LoginQuestion) => readonly string[] | null,
): Condition {
  const judge = (question: LoginQuestion): Verdict => {
    const values = valuesOf(question)
    if (values === null) return 'unknown'
    return values.some(isMet) ? 'hit' : 'miss'
  }
  return { name, judge }
}

function known(value: string | null): readonly string[] | null {
  return value === null ? null : [value]
}

function oneOf(wanted: readonly string[]): (value: string) => boolean {
  const set = new Set(wanted)
  return (value) => set.has(value)
}

function anyOf(patterns: readonly string[]): (value: string) => boolean {
  const exact = oneOf(patterns.filter((pattern) => !pattern.includes('*')))
  const wild = patterns.filter((pattern) => pattern.includes('*')).map((pattern) => pattern.split('*'))
  return (value) => exact(value) || wild.some((parts) => fits(value, parts))
}

/** True when the parts come one after the other, the first at the start and the last at the end. */
function fits(value: string, parts: readonly string[]): boolean {
  const first = parts[0] ?? ''
  const last = parts.at(-1) ?? ''
  if (!value.startsWith(first)) return false
  let at = first.length
  for (const part of parts.slice(1, -1)) {
    const found = value.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return value.length - last.length >= at && value.endsWith(last)
}

/** "A proxy" and the like say that it is not known where somebody is. */
function isAddress(text: string | null): boolean {
  return text !== null && isIP(text) !== 0
}
