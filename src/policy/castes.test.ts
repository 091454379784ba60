import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Principal } from '#identity'
import { cedarSchema } from './cedar/cedar-schema.ts'
import { createCheck } from './cedar/check.ts'
import { evaluate } from './cedar/engine.ts'
import { actionEntity, actionUid, thingEntity, thingUid } from './cedar/entities.ts'
import { selfOf, subjectEntity } from './cedar/subject.ts'
import { decide } from './decide.ts'
import { compileGrant } from './grants/compile.ts'
import type { Grant } from './grants/schema.ts'
import { buildSnapshot, type Castes } from './snapshot.ts'
import { describeThing } from './thing.ts'

const RULES = [
  'forbid(principal in Group::"b", action, resource) when { resource.destructive };',
  'permit(principal in Role::"admin", action, resource);',
  'permit(principal, action, resource) when { principal.kind == "system" };',
  'forbid(principal, action, resource) when { principal.hasTag("d") && principal.getTag("d").contains("x") };',
  'permit(principal == User::"u1", action, resource in Server::"s1");',
  'forbid(principal, action, resource) unless { principal in [Group::"a", Group::"c"] || resource.readOnly };',
  'permit(principal is SystemAccount, action, resource in Tag::"t1");',
]

const subject = fc.oneof(
  fc.record({ kind: fc.constant('user' as const), id: fc.constantFrom('u1', 'u2') }),
  fc.record({ kind: fc.constant('group' as const), id: fc.constantFrom('a', 'b', 'c') }),
  fc.record({ kind: fc.constant('account' as const), id: fc.constantFrom('u1', 'u3') }),
  fc.constant({ kind: 'everyone' as const, id: '' }),
)
const pattern = fc.constantFrom('s1/*', 's2/read', '*/r*', 'tag:t1', '*')
const grants = fc.array(
  fc.record({
    subject,
    tools: fc.array(pattern, { minLength: 1, maxLength: 2 }),
    only: fc.constantFrom(null, 'read-only' as const),
  }),
  { maxLength: 4 },
)
const principal = fc.record({
  userId: fc.constantFrom('u1', 'u2', 'u3'),
  kind: fc.constantFrom('person' as const, 'system' as const, 'unknown' as const),
  role: fc.constantFrom(null, 'admin' as const, 'guest' as const),
  groups: fc.subarray(['a', 'b', 'c']),
  claims: fc.constantFrom({}, { d: 'x' }, { d: ['y', 'x'] }, { d: 'y' }),
})
const thing = fc.record({
  server: fc.constantFrom('s1', 's2'),
  name: fc.constantFrom('read', 'write'),
  tags: fc.subarray(['t1', 't2']),
  annotations: fc.constantFrom({}, { readOnlyHint: true }),
})

test(
  'a caste answers what Cedar answers when it is given every grant and rule for this very principal',
  { timeout: 120_000 },
  () => {
    const castes: Castes = new Map()
    fc.assert(
      fc.property(
        grants,
        fc.subarray(RULES),
        fc.array(principal, { minLength: 1, maxLength: 4 }),
        thing,
        (given, texts, people, what) => {
          const all = given.map((one): Grant => ({
            id: `grant_${JSON.stringify(one)}`,
            gateway: 'demo',
            prompts: null,
            resources: null,
            note: null,
            expiresAt: null,
            createdAt: 0,
            createdBy: null,
            ...one,
          }))
          const { rules } = createCheck(cedarSchema([]))([{ name: 'r', text: texts.join('\n') }])
          const snapshot = buildSnapshot({ grants: all, rules, granted: new Set(['demo']), label: 'x' }, castes)
          const asked = describeThing({ kind: 'tool', gateway: 'demo', access: 'grants', ...what })
          const policies = Object.fromEntries([
            ...all.map((grant) => [grant.id, compileGrant(grant)] as const),
            ...rules.map(({ id, policy }) => [id, policy] as const),
          ])
          for (const person of people) {
            const who: Principal = {
              ...person,
              accountId: null,
              keyId: 'k',
              clientId: null,
              scopes: null,
              gateways: ['*'],
            }
            const plain = evaluate(policies, {
              principal: selfOf(who),
              action: actionUid('call'),
              resource: thingUid(asked),
              context: {},
              entities: [subjectEntity(who), thingEntity(asked), actionEntity('call')],
            })
            expect(decide(snapshot, { principal: who, thing: asked, action: 'call' }, 0).effect).toBe(plain.effect)
          }
        },
      ),
      { numRuns: 150 },
    )
  },
)
