import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AdminOperation } from '#http'
import type { Principal } from '#identity'
import { cedarSchema } from '../cedar/cedar-schema.ts'
import { createCheck, type Rule } from '../cedar/check.ts'
import { evaluate } from '../cedar/engine.ts'
import { gatewaysNamedBy } from '../rules/book.ts'
import { buildSnapshot } from '../snapshot.ts'
import { askedOf, type Place } from './asked.ts'
import { decideAdmin } from './decide.ts'
import { warnOfAdmin } from './escalation.ts'
import { findHolders } from './holders.ts'

const MODULES = ['audit', 'grants', 'keys']
const OPERATIONS: readonly AdminOperation[] = MODULES.flatMap((module) =>
  [false, true].map((writes) => ({
    module,
    operation: `${module}${writes ? 'Write' : 'Read'}`,
    writes,
    aboutKind: 'gateway',
  })),
)
const checkPolicies = createCheck(cedarSchema(MODULES), warnOfAdmin(OPERATIONS))
const check = (text: string) => checkPolicies([{ name: 'r', text }])
const snapshotOf = (rules: readonly Rule[]) =>
  buildSnapshot({ grants: [], rules, granted: new Set(), label: 'v1' }, new Map())

const BOB: Principal = {
  userId: 'bob',
  kind: 'person',
  accountId: 'acc',
  role: 'user',
  groups: ['team'],
  claims: { department: ['ops'] },
  keyId: 'key_1',
  clientId: null,
  scopes: null,
  gateways: ['*'],
}
const AT = { face: 'rest', remoteAddress: '192.0.2.1', now: 1_764_000_000_000 }

type Question = { module: string; writes: boolean; place: Place }
const asked = ({ module, writes, place }: Question) =>
  askedOf(BOB, { module, operation: `${module}${writes ? 'Write' : 'Read'}`, writes, place }, AT)

const one = (...texts: string[]) => fc.constantFrom(...texts)
const principals = one(
  'principal',
  'principal == User::"bob"',
  'principal in Group::"team"',
  'principal is User',
  'principal in Role::"user"',
)
const toolActions = one(
  'action',
  'action in Action::"use"',
  'action == Action::"call"',
  'action == Action::"list"',
  'action in [Action::"execute", Action::"use"]',
)
const adminActions = one(
  'action in Action::"admin"',
  'action == Action::"admin:keys"',
  'action in [Action::"admin:audit", Action::"admin:grants"]',
  'action in [Action::"call", Action::"admin:audit"]',
)
const resources = one(
  'resource',
  'resource in Platform::"house"',
  'resource in Gateway::"x"',
  'resource is Operation',
  'resource in Server::"s"',
)
const conditions = one(
  '',
  'when { action in Action::"admin" }',
  'when { action == Action::"admin:keys" || action == Action::"call" }',
  'when { resource.readOnly }',
  'when { resource.gateway == "x" }',
  'unless { resource.destructive }',
  'when { principal.hasTag("department") && principal.getTag("department").contains("ops") }',
  'when { context has address && context.address.isInRange(ip("192.0.2.0/24")) }',
  'unless { context.approved }',
  'when { context.args.hasTag("a") }',
  'when { resource in Gateway::"x" || resource in Platform::"house" }',
)
const policy = (effect: string, actions: fc.Arbitrary<string>) =>
  fc
    .tuple(principals, actions, resources, conditions)
    .map(([principal, action, resource, condition]) => `${effect}(${principal}, ${action}, ${resource}) ${condition};`)
const question = fc.record({
  module: fc.constantFrom(...MODULES),
  writes: fc.boolean(),
  place: fc.constantFrom<Place>(
    null,
    { kind: 'gateway', name: 'x' },
    { kind: 'gateway', name: 'y' },
    { kind: 'server', name: 's' },
  ),
})

/** Each under an id that says where it stood. */
function rulesOf(texts: readonly string[]): readonly Rule[] {
  const { rules } = check(texts.map((text, at) => `@id("r${at}") ${text}`).join('\n'))
  expect(rules).toHaveLength(texts.length)
  return rules
}

describe('whatever the rules are', () => {
  test('no permit that does not name the admin API in its scope lets anybody in', () => {
    fc.assert(
      fc.property(
        fc.array(policy('permit', toolActions), { maxLength: 8 }),
        question,
        fc.boolean(),
        (texts, what, isOpen) => {
          const verdict = decideAdmin(snapshotOf(rulesOf(texts)), { asked: asked(what), isAdmin: false, isOpen })

          expect(verdict.effect).toBe('deny')
        },
      ),
      { numRuns: 80 },
    )
  })

  test('whoever is no admin may what some permit of the admin API says, and no forbid', () => {
    const any = fc.oneof(
      policy('permit', toolActions),
      policy('permit', adminActions),
      policy('forbid', fc.oneof(toolActions, adminActions)),
    )
    fc.assert(
      fc.property(fc.array(any, { maxLength: 8 }), question, (texts, what) => {
        const rules = rulesOf(texts)
        const applies = ({ id, policy: of }: Rule): boolean =>
          evaluate({ [id]: { ...of, effect: 'permit' } }, asked(what)).effect === 'allow'
        const isPermitted = rules.some((rule) => rule.effect === 'permit' && namesInScope(texts, rule) && applies(rule))
        const isForbidden = rules.some((rule) => rule.effect === 'forbid' && applies(rule))

        const verdict = decideAdmin(snapshotOf(rules), { asked: asked(what), isAdmin: false, isOpen: false })
        const admin = decideAdmin(snapshotOf(rules), { asked: asked(what), isAdmin: true, isOpen: false })

        expect([verdict.effect, admin.effect]).toEqual([
          isPermitted && !isForbidden ? 'allow' : 'deny',
          isForbidden ? 'deny' : 'allow',
        ])
      }),
      { numRuns: 80 },
    )
  })

  test('what is allowed in the end was not refused before it was known what it is about', () => {
    const any = fc.oneof(policy('permit', adminActions), policy('forbid', fc.oneof(toolActions, adminActions)))
    fc.assert(
      fc.property(fc.array(any, { maxLength: 6 }), question, fc.boolean(), (texts, what, isAdmin) => {
        const snapshot = snapshotOf(rulesOf(texts))
        const early = decideAdmin(snapshot, { asked: asked({ ...what, place: null }), isAdmin, isOpen: true })
        const inTheEnd = decideAdmin(snapshot, { asked: asked(what), isAdmin, isOpen: false })

        expect(early.effect === 'deny' && inTheEnd.effect === 'allow').toBe(false)
      }),
      { numRuns: 60 },
    )
  })
})

/** By the text, not by what the code reads from it: the scope is what stands between the parentheses. */
function namesInScope(texts: readonly string[], { id }: Rule): boolean {
  const text = texts[Number(id.slice(1))] ?? ''
  const scope = text.slice(0, text.indexOf(', resource'))
  return scope.includes('Action::"admin')
}

test('a permit about administering a gateway does not make it one of default deny, one that is about calls too does', () => {
  const named = (text: string) => gatewaysNamedBy(check(text).rules)

  expect(named('permit(principal, action in Action::"admin", resource in Gateway::"x");')).toEqual([])
  expect(named('permit(principal, action == Action::"admin:grants", resource in Gateway::"x");')).toEqual([])
  expect(
    named('permit(principal, action in [Action::"admin:grants", Action::"call"], resource in Gateway::"x");'),
  ).toEqual(['x'])
})

test.each<[text: string, says: RegExp | null]>([
  ['permit(principal in Group::"a", action == Action::"admin:keys", resource);', /admin:keys \(make keys of admins\)/],
  ['permit(principal, action in Action::"admin", resource);', /admin:grants .*admin:keys/],
  ['permit(principal, action in [Action::"admin:audit", Action::"admin:grants"], resource);', /admin:grants/],
  ['permit(principal, action == Action::"admin:keys", resource) when { context has address };', /admin:keys/],
  ['permit(principal, action == Action::"admin:keys", resource in Gateway::"x");', /admin:keys/],
  ['permit(principal, action, resource) when { action in Action::"admin" };', /in a condition/],
  ['permit(principal, action == Action::"admin:keys", resource) unless { context.writes };', null],
  ['permit(principal, action == Action::"admin:keys", resource) when { resource.readOnly };', null],
  ['permit(principal in Group::"a", action in Action::"admin", resource) unless { context.writes };', null],
  [
    'permit(principal in Group::"a", action in Action::"admin", resource in Gateway::"x") when { context.operation like "l*" && resource.readOnly };',
    null,
  ],
  [
    'permit(principal in Group::"a", action in Action::"admin", resource) unless { context.writes || context.face == "cli" };',
    null,
  ],
  ['permit(principal, action == Action::"admin:keys", resource) when { resource.gateway like "x-*" };', /admin:keys/],
  ['permit(principal, action == Action::"admin:grants", resource in Gateway::"x");', null],
  ['permit(principal in Role::"admin", action in Action::"admin", resource);', null],
  ['permit(principal, action == Action::"admin:audit", resource);', null],
  ['forbid(principal, action in Action::"admin", resource);', null],
  ['forbid(principal, action in Action::"admin", resource == Operation::"keysWrite");', null],
  ['forbid(principal, action in Action::"admin", resource == Operation::"keyWrite");', /no operation "keyWrite"/],
])('the check warns of what lets others give themselves more, and of what is not there: %s', (text, says) => {
  const { findings } = check(`\n${text}`)

  expect(findings).toEqual(
    says === null ? [] : [{ level: 'warning', source: 'r', line: 2, message: expect.stringMatching(says) }],
  )
})

test('those are found who may do something without the role, with what it gives them', async () => {
  const account = (userId: string, of: { role?: 'admin' | 'user'; groups?: string[]; isActive?: boolean }) =>
    ({
      accountId: userId,
      userId,
      kind: 'person',
      role: 'user',
      groups: [],
      claims: {},
      isActive: true,
      ...of,
    }) as const
  const members = [
    account('root', { role: 'admin', groups: ['team'] }),
    account('tim', { groups: ['team'] }),
    account('off', { groups: ['team'], isActive: false }),
    account('lea', {}),
    account('ada', {}),
  ]
  const world = {
    members: () => members,
    member: (userId: string) => members.find((one) => one.userId === userId) ?? null,
  }
  const { rules } = check(`
    @id("team") permit(principal in Group::"team", action in [Action::"admin:audit", Action::"admin:keys"], resource);
    @id("x") permit(principal == User::"lea", action == Action::"admin:grants", resource in Gateway::"x") unless { context.writes };
    @id("broad") permit(principal, action, resource);
    @id("no") forbid(principal, action == Action::"admin:keys", resource) when { context has address && context.address.isInRange(ip("10.0.0.0/8")) };
  `)

  const { holders } = await findHolders({ world, operations: OPERATIONS, snapshot: snapshotOf(rules), now: 0 })

  expect(holders).toEqual([
    {
      user: 'lea',
      kind: 'person',
      rules: ['x'],
      modules: [{ module: 'grants', mayRead: 'depends', mayWrite: 'deny', escalation: null }],
    },
    {
      user: 'tim',
      kind: 'person',
      rules: ['team'],
      modules: [
        { module: 'audit', mayRead: 'allow', mayWrite: 'allow', escalation: null },
        { module: 'keys', mayRead: 'depends', mayWrite: 'depends', escalation: 'make keys of admins' },
      ],
    },
  ])
})
