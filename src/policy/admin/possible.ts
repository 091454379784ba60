import type { Clause, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import { termsOf } from '../cedar/balance.ts'
import type { Rule } from '../cedar/check.ts'
import { evaluateInPart, type Asked, type AskedInPart } from '../cedar/engine.ts'
import type { Place } from './asked.ts'

/**
 * Whether a permit could let somebody do this while members of the context are unknown. Each of its conditions is looked
 * at alone: of `unknown && false` Cedar says no more than that it depends.
 */
export function isPossible({ policy }: Pick<Rule, 'policy'>, asked: AskedInPart, unknown: readonly string[]): boolean {
  return partsOf(policy).every((part) => evaluateInPart({ part }, asked, unknown) !== 'deny')
}

function partsOf(policy: PolicyJson): PolicyJson[] {
  const clauses = policy.conditions.flatMap(splitClause)
  return [{ ...policy, conditions: [] }, ...clauses.map((clause) => ({ ...policy, conditions: [clause] }))]
}

/** `when { a && b }` is `when { a } when { b }`, and `unless { a || b }` is `unless { a } unless { b }`. */
function splitClause({ kind, body }: Clause): Clause[] {
  return termsOf(kind === 'when' ? '&&' : '||', body).map((term) => ({ kind, body: term }))
}

/** All that these rules tell apart: the house, and each gateway and server that one of them names. */
export function placesNamedBy(rules: readonly Rule[]): Place[] {
  const named = (kind: 'gateway' | 'server', names: (rule: Rule) => ReadonlySet<string>): Place[] =>
    [...new Set(rules.flatMap((rule) => [...names(rule)]))].map((name) => ({ kind, name }))
  return [null, ...named('gateway', ({ look }) => look.gateways), ...named('server', ({ look }) => look.servers)]
}

/** The same, of a gateway or server of any other name as well. */
export function withAnyName(asked: Asked): Asked {
  const open = (name: string) => ({ __extn: { fn: 'unknown', arg: name } })
  const { type, id } = asked.resource
  const entities = asked.entities.map((entity) => {
    const isIt = 'id' in entity.uid && entity.uid.type === type && entity.uid.id === id
    return isIt ? { ...entity, attrs: { ...entity.attrs, gateway: open('gateway'), server: open('server') } } : entity
  })
  return { ...asked, entities }
}
