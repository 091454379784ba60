import { expect, test } from 'vitest'
import type { Principal } from '#identity'
import { decide, type Question } from './decide.ts'
import type { Grant } from './grants/schema.ts'
import { buildSnapshot } from './snapshot.ts'
import { describeThing, type Thing } from './thing.ts'

const NOBODY = {
  kind: 'unknown',
  accountId: null,
  role: null,
  groups: [],
  claims: {},
  clientId: null,
  scopes: null,
} as const

function principal(given: Partial<Principal> = {}): Principal {
  return { userId: 'a', keyId: 'key_1', gateways: ['demo'], ...NOBODY, ...given }
}

function thing(
  given: Partial<Thing> & { annotations?: { readOnlyHint?: boolean; destructiveHint?: boolean } } = {},
): Thing {
  const usual = { kind: 'tool', gateway: 'demo', access: undefined, server: 'files', tags: [], name: 'read' } as const
  return describeThing({ ...usual, ...given })
}

function grant(given: Partial<Grant>): Grant {
  const usual = { id: 'grant_1', subject: { kind: 'user', id: 'a' }, gateway: 'demo', tools: ['*'] } as const
  const rest = {
    prompts: null,
    resources: null,
    only: null,
    note: null,
    expiresAt: null,
    createdAt: 0,
    createdBy: null,
  }
  return { ...usual, ...rest, ...given, tools: [...(given.tools ?? usual.tools)] }
}

function ask(question: Partial<Question>, grants: readonly Grant[] = []) {
  const granted = new Set(grants.flatMap(({ gateway }) => gateway ?? []))
  const snapshot = buildSnapshot({ grants, rules: [], granted, label: 'test' }, new Map())
  return decide(snapshot, { principal: principal(), action: 'call', thing: thing(), ...question }, 0)
}

test.each([
  [['demo'], 'allow', 'gateway-key'],
  [['*'], 'allow', 'gateway-key'],
  [['other'], 'deny', null],
  [[], 'deny', null],
])('a key for %j gets %s where nothing was granted yet', (gateways, effect, rule) => {
  expect(ask({ principal: principal({ gateways }) })).toMatchObject({ effect, rule })
})

test.each([
  [['*'], 'allow', 'admin'],
  [['demo'], 'allow', 'gateway-open'],
  [['other'], 'deny', null],
])('without a key, somebody let in to %j gets %s', (gateways, effect, rule) => {
  expect(ask({ principal: principal({ keyId: null, gateways }) })).toMatchObject({ effect, rule })
})

test('from the first grant that names a gateway on, nothing else is allowed there', () => {
  const grants = [grant({ tools: ['files/read'] })]

  expect(ask({}, grants)).toMatchObject({ effect: 'allow', rule: 'grant_1' })
  expect(ask({ thing: thing({ name: 'write' }) }, grants)).toMatchObject({ effect: 'deny', rule: null })
  expect(ask({ principal: principal({ userId: 'b' }) }, grants)).toMatchObject({ effect: 'deny', rule: null })
  expect(ask({ thing: thing({ access: 'all', name: 'write' }) }, grants)).toMatchObject({ rule: 'gateway-key' })
})

test.each<[subject: Grant['subject'], who: Partial<Principal>]>([
  [{ kind: 'user', id: 'a' }, {}],
  [{ kind: 'group', id: 'support' }, { groups: ['sales', 'support'] }],
  [{ kind: 'role', id: 'guest' }, { role: 'guest' }],
  [
    { kind: 'account', id: 'bot' },
    { userId: 'bot', kind: 'system' },
  ],
  [{ kind: 'client', id: 'https://client.example' }, { clientId: 'https://client.example' }],
  [{ kind: 'key', id: 'key_1' }, {}],
  [{ kind: 'everyone', id: '' }, {}],
])('a grant for %j allows those it names, and nobody else', (subject, who) => {
  const grants = [grant({ subject }), grant({ id: 'grant_2', subject: { kind: 'user', id: 'z' } })]
  const stranger = principal({ userId: 'bot', keyId: 'key_2' })

  expect(ask({ principal: principal(who) }, grants)).toMatchObject({ effect: 'allow', rule: 'grant_1' })
  expect(ask({ principal: stranger }, grants).effect).toBe(subject.kind === 'everyone' ? 'allow' : 'deny')
})

test.each<[tools: string[], wanted: Partial<Thing>, effect: 'allow' | 'deny']>([
  [['files/read'], {}, 'allow'],
  [['files/r*d'], {}, 'allow'],
  [['f*/*'], {}, 'allow'],
  [['files/rea'], {}, 'deny'],
  [['file/*'], {}, 'deny'],
  [['tag:prod'], { tags: ['prod'] }, 'allow'],
  [['tag:prod'], { tags: ['test'] }, 'deny'],
  [['files/*'], { kind: 'prompt' }, 'allow'],
  [['files/re*'], { kind: 'prompt' }, 'deny'],
  [['tag:prod'], { kind: 'resource', tags: ['prod'], name: 'file:///x' }, 'allow'],
  [['*'], { kind: 'resource', name: 'file:///x' }, 'allow'],
])('the patterns %j on %j: %s', (tools, wanted, effect) => {
  const action = wanted.kind === 'prompt' ? 'prompt' : wanted.kind === 'resource' ? 'read' : 'call'

  expect(ask({ thing: thing(wanted), action }, [grant({ tools })]).effect).toBe(effect)
})

test.each<[only: Grant['only'], annotations: { readOnlyHint?: boolean; destructiveHint?: boolean }, effect: string]>([
  ['read-only', { readOnlyHint: true }, 'allow'],
  ['read-only', {}, 'deny'],
  ['not-destructive', { destructiveHint: false }, 'allow'],
  ['not-destructive', { readOnlyHint: true }, 'allow'],
  ['not-destructive', {}, 'deny'],
])('a grant of %s tools on one that says %j of itself: %s', (only, annotations, effect) => {
  expect(ask({ thing: thing({ annotations }) }, [grant({ only })]).effect).toBe(effect)
})

test('a name cannot break out of the policy that is made of it', () => {
  const evil = 'a" || true || "'
  const grants = [grant({ subject: { kind: 'group', id: evil }, tools: ['fi"les/"*'] })]

  expect(ask({ principal: principal({ groups: [evil] }) }, grants).effect).toBe('deny')
  expect(
    ask({ principal: principal({ groups: [evil] }), thing: thing({ server: 'fi"les', name: '"x' }) }, grants).effect,
  ).toBe('allow')
  expect(
    ask({ principal: principal({ groups: ['a'] }), thing: thing({ server: 'fi"les', name: '"x' }) }, grants).effect,
  ).toBe('deny')
})
