import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import type { Rule } from '../cedar/check.ts'
import type { PolicySet } from '../cedar/engine.ts'
import { uidOf } from '../cedar/subject.ts'

/** The rules that say something of the admin API. */
export type AdminLaws = {
  readonly rules: readonly Rule[]
  readonly permits: readonly Rule[]
  /** For whoever is no admin. */
  readonly all: PolicySet
  /** For admins, who need no permit. */
  readonly forbids: PolicySet
}

/**
 * Of the permits only those whose scope names actions of the admin API: a broad one is about tools, and makes nobody an
 * admin. Of the forbids all, whatever their scope. Grants never say anything here.
 */
export function adminLaws(rules: readonly Rule[]): AdminLaws {
  const permits = rules.filter(({ effect, policy }) => effect === 'permit' && adminScope(policy).length > 0)
  const forbids = rules.filter(({ effect }) => effect === 'forbid')
  const counting = [...permits, ...forbids]
  return { rules: counting, permits, all: toSet(counting), forbids: toSet(forbids) }
}

/** The actions of the admin API that the scope of the policy names, by module; `*` for all of them. */
export function adminScope({ action }: PolicyJson): string[] {
  return actionsIn(action).flatMap(({ type, id }) => {
    if (type !== 'Action') return []
    if (id === ALL_ADMIN) return ['*']
    return id.startsWith(PREFIX) ? [id.slice(PREFIX.length)] : []
  })
}

/** Whether the scope names nothing but actions of the admin API. */
export function isForAdminsOnly(policy: PolicyJson): boolean {
  const named = actionsIn(policy.action).length
  return named > 0 && adminScope(policy).length === named
}

export const ALL_ADMIN = 'admin'
export const PREFIX = 'admin:'

function actionsIn(action: PolicyJson['action']) {
  if (action.op === 'All') return []
  if ('entities' in action) return action.entities.map(uidOf)
  return 'entity' in action ? [uidOf(action.entity)] : []
}

function toSet(rules: readonly Rule[]): PolicySet {
  return Object.fromEntries(rules.map(({ id, policy }) => [id, policy]))
}
