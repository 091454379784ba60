import type { AdminOperation } from '#http'
import type { Rule } from '../cedar/check.ts'
import { uidOf } from '../cedar/subject.ts'
import { SOMEBODY } from '../person.ts'
import { askedOf } from './asked.ts'
import { adminScope } from './laws.ts'
import { isPossible, placesNamedBy, withAnyName } from './possible.ts'

/** What writing to a module gives to whoever may, beyond the module; null: nothing. */
type Escalation = {
  readonly words: string
  /** Not where it is permitted for one gateway only. */
  readonly bounded?: true
}

const ESCALATIONS: Readonly<Record<string, Escalation | null>> = {
  accounts: { words: 'make admins, and take over accounts' },
  approvals: null,
  audit: null,
  backup: null,
  changes: null,
  clients: { words: 'make clients that act for system accounts' },
  'content-rules': null,
  gateways: { words: 'show every tool to everybody' },
  grants: { words: 'grant themselves every tool', bounded: true },
  groups: { words: 'join any group' },
  hooks: { words: 'read and rewrite every call' },
  'identity-sources': null,
  keys: { words: 'make keys of admins' },
  'login-policy': { words: 'let anybody sign in from anywhere' },
  metrics: null,
  policy: { words: 'permit themselves everything' },
  servers: { words: 'send calls with their credentials elsewhere' },
  'signing-keys': null,
}

/** Modules of which it was said what they give. A new one counts as giving everything until then. */
export const JUDGED_MODULES: readonly string[] = Object.keys(ESCALATIONS)

/** What writing to the module gives its holder beyond it, in words; null where it gives nothing. */
export function escalationBy(module: string, { isOfHouse }: { isOfHouse: boolean }): string | null {
  const escalation = escalationOf(module)
  return escalation === null || (escalation.bounded === true && !isOfHouse) ? null : escalation.words
}

function escalationOf(module: string): Escalation | null {
  const known = ESCALATIONS[module]
  return known === undefined ? { words: 'do what nobody has judged yet' } : known
}

/** What the author of a rule should know of it, as far as it is about the admin API. */
export function warnOfAdmin(operations: readonly AdminOperation[]): (rule: Rule) => readonly string[] {
  const modules = [...new Set(operations.map(({ module }) => module))].toSorted()
  const known = new Set(operations.map(({ operation }) => operation))
  return (rule) => {
    const unknown = [...rule.look.operations].filter((name) => !known.has(name))
    const none = unknown.map((name) => `there is no operation "${name}"`)
    return [...none, ...warnOfTags(rule), ...warnOfPermit(rule, modules)]
  }
}

/** A rule about all actions may ask for tags of tools; one about the admin API alone asks in vain. */
function warnOfTags({ policy }: Rule): string[] {
  if (adminScope(policy).length === 0) return []
  const asked = JSON.stringify([policy.resource, policy.conditions])
  return /"attr":"tags"|"(?:type|entity_type)":"(?:Tag|Namespace)"/.test(asked) ? [NO_TAGS] : []
}

const NO_TAGS =
  'operations of the admin API have no tags and no namespaces, so it never hits by these; name the servers: resource in Server::"…"'

function warnOfPermit(rule: Rule, modules: readonly string[]): string[] {
  if (rule.effect === 'forbid') return []
  const named = adminScope(rule.policy)
  if (named.length === 0) return rule.look.namesAdmin ? [IN_CONDITION_ONLY] : []
  const scope = modules.filter((module) => named.includes('*') || named.includes(module))
  const given = isForAdmins(rule) ? [] : scope.filter((module) => mayEscalate(rule, module))
  if (given.length === 0) return []
  const words = given.map((module) => `admin:${module} (${escalationOf(module)?.words})`)
  return [`it lets others than admins give themselves more: ${words.join(', ')}`]
}

const IN_CONDITION_ONLY =
  'it names actions of the admin API in a condition, which permits none of them; write them in the scope: action in [Action::"admin:…"]'

function isForAdmins({ policy: { principal } }: Rule): boolean {
  if (principal.op !== 'in' || !('entity' in principal)) return false
  const uid = uidOf(principal.entity)
  return uid.type === 'Role' && uid.id === 'admin'
}

/** Whether somebody could write to the module by this rule. */
function mayEscalate(rule: Rule, module: string): boolean {
  const escalation = escalationOf(module)
  if (escalation === null) return false
  const policy = { ...rule.policy, principal: { op: 'All' } } as const
  const places = escalation.bounded === true ? [null] : placesNamedBy([rule])
  return places.some((place) => {
    const asked = askedOf(SOMEBODY, { module, operation: '', writes: true, place }, NEVER)
    const open = escalation.bounded === true ? asked : withAnyName(asked)
    return isPossible({ policy }, { ...open, principal: null }, ['operation', 'now', 'address'])
  })
}

const NEVER = { face: 'rest', remoteAddress: null, now: 0 }
