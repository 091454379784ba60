import type { Expr, PatternElem, PolicyJson, PrincipalConstraint } from '@cedar-policy/cedar-wasm/nodejs'
import { join } from '../cedar/balance.ts'
import type { Uid } from '../cedar/subject.ts'
import { wellFormed } from '../cedar/well-formed.ts'
import type { Grant, Subject } from './schema.ts'

/** The grant as a policy of Cedar: the same for the same grant, named by its id. */
export function compileGrant(grant: Grant): PolicyJson {
  const { gateway, only } = grant
  return wellFormed<PolicyJson>({
    effect: 'permit',
    principal: constraintOf(grant.subject),
    action: { op: 'in', entity: { type: 'Action', id: 'use' } },
    resource: gateway === null ? { op: 'All' } : { op: 'in', entity: { type: 'Gateway', id: gateway } },
    conditions: [
      { kind: 'when', body: coverage(grant) },
      ...(only === null ? [] : [{ kind: 'when' as const, body: ONLY[only] }]),
    ],
    annotations: { id: grant.id, ...(grant.note === null ? {} : { note: grant.note }) },
  })
}

const TYPES = { user: 'User', account: 'SystemAccount', group: 'Group', role: 'Role', client: 'Client', key: 'Key' }

/** How Cedar names whom a grant is for; null for everyone. */
export function subjectUid({ kind, id }: Subject): Uid | null {
  return kind === 'everyone' ? null : { type: TYPES[kind], id }
}

function constraintOf(subject: Subject): PrincipalConstraint {
  const entity = subjectUid(subject)
  if (entity === null) return { op: 'All' }
  return subject.kind === 'user' || subject.kind === 'account' ? { op: '==', entity } : { op: 'in', entity }
}

const resource: Expr = { Var: 'resource' }
const attribute = (attr: string): Expr => ({ '.': { left: resource, attr } })

const ONLY: Readonly<Record<NonNullable<Grant['only']>, Expr>> = {
  'read-only': attribute('readOnly'),
  'not-destructive': { '!': { arg: attribute('destructive') } },
}

/** Which tools, prompts and resources: prompts and resources follow the servers that `tools` picks whole. */
function coverage({ tools, prompts, resources }: Grant): Expr {
  const whole = tools.filter(takesWhole)
  return anyOf([
    ...patternsFor('Tool', tools),
    ...patternsFor('Prompt', prompts ?? whole),
    ...patternsFor('Resource', resources ?? whole),
  ])
}

/** The rule of gateways: `*`, `tag:NAME` and `server/*` take a server with all that it has. */
function takesWhole(pattern: string): boolean {
  return pattern === '*' || pattern.startsWith('tag:') || pattern.slice(pattern.indexOf('/') + 1) === '*'
}

function patternsFor(type: string, patterns: readonly string[]): Expr[] {
  if (patterns.length === 0) return []
  const isType: Expr = { is: { left: resource, entity_type: type } }
  return [{ '&&': { left: isType, right: anyOf(patterns.map(matches)) } }]
}

function matches(pattern: string): Expr {
  if (pattern === '*') return { Value: true }
  if (pattern.startsWith('tag:')) {
    return { in: { left: resource, right: { Value: { __entity: { type: 'Tag', id: pattern.slice('tag:'.length) } } } } }
  }
  const slash = pattern.indexOf('/')
  const left = like('server', pattern.slice(0, slash))
  return { '&&': { left, right: like('name', pattern.slice(slash + 1)) } }
}

function like(attr: string, pattern: string): Expr {
  if (!pattern.includes('*')) return { '==': { left: attribute(attr), right: { Value: pattern } } }
  const elements = pattern
    .split('*')
    .flatMap((literal, at): PatternElem[] => [
      ...(at === 0 ? [] : ['Wildcard' as const]),
      ...Array.from(literal, (letter) => ({ Literal: letter })),
    ])
  return { like: { left: attribute(attr), pattern: elements } }
}

function anyOf(parts: readonly Expr[]): Expr {
  return parts.length === 0 ? { Value: false } : join('||', parts)
}
