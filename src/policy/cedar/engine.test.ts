import type { Expr, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileGrant } from '../grants/compile.ts'
import { balancePolicy } from './balance.ts'
import { evaluate, type Asked, type PolicySet } from './engine.ts'

const asked: Asked = {
  principal: { type: 'User', id: 'bob' },
  action: { type: 'Action', id: 'call' },
  resource: { type: 'Tool', id: 'echo' },
  context: { yes: true, no: false },
  entities: [],
}

function rule(effect: 'permit' | 'forbid', body: Expr, principal: PolicyJson['principal'] = { op: 'All' }): PolicyJson {
  return { effect, principal, action: { op: 'All' }, resource: { op: 'All' }, conditions: [{ kind: 'when', body }] }
}

const permitFor = (id: string): PolicySet => ({
  only: rule('permit', { Value: true }, { op: '==', entity: { type: 'User', id } }),
})

test('a set that cannot be parsed takes no other one’s answers, however many there are', () => {
  const sets = Array.from({ length: 600 }, (_, at) => permitFor(at % 2 === 0 ? 'bob' : 'eve'))
  const ask = () => sets.map((set) => evaluate(set, asked).effect)
  const expected = sets.map((_, at) => (at % 2 === 0 ? 'allow' : 'deny'))
  const tooDeep = Array.from({ length: 200 }).reduce<Expr>((arg) => ({ '!': { arg } }), { Value: true })

  const before = ask()
  for (let times = 0; times < 20; times += 1) {
    expect(() => evaluate({ deep: rule('forbid', tooDeep) }, asked)).toThrow('recursion limit')
    expect(evaluate(permitFor('eve'), asked).effect).toBe('deny')
    expect(evaluate(permitFor('bob'), asked).effect).toBe('allow')
  }

  expect(before).toEqual(expected)
  expect(ask()).toEqual(expected)
})

test('a grant of as many tools as there may be is decided', () => {
  const patterns = Array.from({ length: 100 }, (_, at) => `*/tool${at}*`)
  const wish = { tools: patterns, prompts: patterns, resources: patterns, gateway: null, only: 'read-only' } as const
  const grant = compileGrant({
    ...wish,
    id: 'grant_1',
    subject: { kind: 'everyone', id: '' },
    note: null,
    expiresAt: null,
    createdAt: 0,
    createdBy: null,
  })

  const of = (name: string) => {
    const attrs = { server: 's', name, readOnly: true, destructive: false }
    const entity = { uid: asked.resource, attrs, parents: [] }
    const action = { uid: asked.action, attrs: {}, parents: [{ type: 'Action', id: 'use' }] }
    return evaluate({ grant }, { ...asked, entities: [entity, action] }).effect
  }

  expect([of('tool0'), of('tool99x'), of('other')]).toEqual(['allow', 'allow', 'deny'])
})

/** What can be true, false or wrong. */
const term = fc.constantFrom<Expr>(
  { '.': { left: { Var: 'context' }, attr: 'yes' } },
  { '.': { left: { Var: 'context' }, attr: 'no' } },
  { '.': { left: { Var: 'context' }, attr: 'missing' } },
)
const { tree } = fc.letrec<{ tree: Expr }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    term,
    fc.record({ '||': fc.record({ left: tie('tree'), right: tie('tree') }) }),
    fc.record({ '&&': fc.record({ left: tie('tree'), right: tie('tree') }) }),
    fc.record({ '!': fc.record({ arg: tie('tree') }) }),
  ),
}))

test('a chain that leans to neither side is true, false or wrong where it was', () => {
  fc.assert(
    fc.property(tree, (body) => {
      const policy = rule('permit', body)
      const [plain, flat] = [policy, balancePolicy(policy)].map((only) => evaluate({ only }, asked))
      expect(flat).toEqual(plain)
    }),
    { numRuns: 300 },
  )
})

test.each<[string, Partial<Asked>]>([
  ['an argument', { context: { yes: true, text: 'EXFIL\ud800' } }],
  ['the name of a member', { context: { yes: true, '\ud800': 'x' } }],
  ['what a provider said', { entities: [{ uid: asked.principal, attrs: { team: '\ud800' }, parents: [] }] }],
])('half a character in %s makes no question fail', (_what, more) => {
  const [bob, eve] = [permitFor('bob'), permitFor('eve')]

  expect([bob, eve].map((set) => evaluate(set, { ...asked, ...more }).effect)).toEqual(['allow', 'deny'])
})
