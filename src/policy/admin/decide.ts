import type { AdminVerdict } from '#identity'
import { ALWAYS, evaluate, evaluateInPart, type Answer, type Asked, type PolicySet } from '../cedar/engine.ts'
import type { Snapshot } from '../snapshot.ts'

/** May somebody do this at the admin API? `isOpen`: what it is about is not known yet. */
export type AdminCase = { readonly asked: Asked; readonly isAdmin: boolean; readonly isOpen: boolean }

/** Admins need no permit. */
const ROLE = { effect: 'allow', rule: 'admin-role', reason: 'an admin may', isFinal: true } as const

/**
 * Whoever is an admin by role may, unless a rule forbids it; anybody else only where a rule permits it that names the
 * admin API, and none forbids it. A rule that cannot be evaluated may be the one that forbids it, so that is a no.
 */
export function decideAdmin(snapshot: Snapshot, { asked, isAdmin, isOpen }: AdminCase): AdminVerdict {
  const { laws, label } = snapshot
  const policies = isAdmin ? laws.forbids : laws.all
  const policyVersion = label
  if (Object.keys(policies).length === 0) return isAdmin ? ROLE : { ...NOTHING, policyVersion }
  const mayBe = isOpen && judgeAdmin(policies, { asked, isAdmin, unknown: ['resource'] }) !== 'deny'
  if (mayBe) return { effect: 'allow', rule: null, reason: 'it depends on what it is about', isFinal: false }
  const answer = evaluate(policies, asked)
  return { ...toVerdict(snapshot, answer, isAdmin), policyVersion }
}

const NOTHING = {
  effect: 'deny',
  rule: null,
  reason: 'no rule permits it, and only admins need none',
  isFinal: true,
} as const

function toVerdict(snapshot: Snapshot, { effect, reasons, errors }: Answer, isAdmin: boolean): AdminVerdict {
  if (errors.length > 0) {
    const ids = errors.map(({ policy }) => policy)
    return { effect: 'deny', ...told(ids), reason: `${ids.join(', ')} could not be evaluated`, isFinal: true }
  }
  if (effect === 'deny' && reasons.length === 0) return isAdmin ? ROLE : NOTHING
  const names = reasons.map((id) => snapshot.describe(id)).join(', ')
  const reason = effect === 'allow' ? `permitted by ${names}` : `forbidden by ${names}`
  return { effect, ...told(reasons), reason, isFinal: true }
}

function told(ids: readonly string[]): { rule: string | null; rules?: readonly string[] } {
  return { rule: ids[0] ?? null, ...(ids.length > 1 ? { rules: ids } : {}) }
}

type InPart = {
  readonly asked: Asked
  readonly isAdmin: boolean
  /** Members of the context, and `resource`. */
  readonly unknown: readonly string[]
}

/** The answer as far as it can be told without what is unknown. */
export function judgeAdmin(policies: PolicySet, { asked, isAdmin, unknown }: InPart): 'allow' | 'deny' | 'depends' {
  const question = unknown.includes('resource') ? { ...asked, resource: null } : asked
  const members = unknown.filter((name) => name !== 'resource')
  return evaluateInPart({ ...policies, ...(isAdmin ? ALWAYS : {}) }, question, members)
}
