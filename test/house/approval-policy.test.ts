import { afterAll, beforeAll, expect, test } from 'vitest'
import { startSideEffectServer, type SideEffectServer } from '../fakes/side-effect-server.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { ask, callTool, eventually, gatewayUrl, textOf, toolNames, type Line } from './talk.ts'

/** Rules in Cedar that let a call through once a person has approved it (`context.approved`). */

const ALICE = 'alice@example.com'
const BOB = 'bob@example.com'
const PENDING = { isError: true, _meta: { 'io.gatehouse/problem': { code: 'approvals/pending' } } }

/** One gateway that is open to all, where a forbid asks; and one of default deny, where a permit does. */
const TOML = (url: string): string => `
  [approvals]
  wait_ms = 0

  [[servers]]
  name = "effects"
  transport = "http"
  url = "${url}"

  [[gateways]]
  slug = "open"
  tools = ["effects/*"]

  [[gateways]]
  slug = "closed"
  tools = ["effects/*"]
`

const RULES = `
  @id("big-orders")
  @note("orders over the limit")
  forbid(principal, action == Action::"call", resource in Gateway::"open")
  when { resource.destructive && context.args.hasTag("order") && context.args.getTag("order") like "big*" }
  unless { context.approved };

  @id("alice-with-a-person")
  permit(principal == User::"${ALICE}", action, resource in Gateway::"closed")
  when { context.approved };

  @id("nobody-ever")
  forbid(principal, action == Action::"call", resource in Gateway::"open")
  when { context.args.hasTag("order") && context.args.getTag("order") == "big and never" };
`

let effects: SideEffectServer
let house: TestHouse
let lines: { open: Line; closed: Line; bob: Line }

beforeAll(async () => {
  effects = await startSideEffectServer()
  house = await startHouse({ toml: TOML(effects.url) })
  await house.listed()
  await house.gatehouse.policy.declarePolicies([{ name: 'house.cedar', text: RULES }])
  const lineOf = async (user: string, gateway: string): Promise<Line> => ({
    url: gatewayUrl(house, gateway),
    key: await house.createKey({ user, gateway }),
  })
  lines = {
    open: await lineOf(ALICE, 'open'),
    closed: await lineOf(ALICE, 'closed'),
    bob: await lineOf(BOB, 'closed'),
  }
})
afterAll(async () => {
  await house.close()
  await effects.close()
})

async function approve(): Promise<{ rule: string; note: string | null }> {
  const { approvals } = await house.gatehouse.approvals.list({ state: 'pending', limit: 1 })
  const [{ id, rule, note } = { id: '', rule: '', note: null }] = approvals
  await house.gatehouse.approvals.answer(id, 'approve', { userId: 'boss', via: 'cli' })
  return { rule, note }
}

test('a forbid that ends with an approval: only calls that it is about wait, and run once they are approved', async () => {
  const small = await callTool(lines.open, 'charge', { order: 'small' })
  const big = await callTool(lines.open, 'charge', { order: 'big' })
  const asked = await approve()
  const other = await callTool(lines.open, 'charge', { order: 'big too' })
  const made = await callTool(lines.open, 'charge', { order: 'big' })
  const twice = await callTool(lines.open, 'charge', { order: 'big' })

  expect(textOf(small)).toBe('charged small, time 1')
  expect([big.result, other.result, twice.result]).toMatchObject([PENDING, PENDING, PENDING])
  expect(asked).toEqual({ rule: 'policy:big-orders', note: 'orders over the limit' })
  expect(textOf(made)).toBe('charged big, time 1')
})

test('a permit with an approval: the tool is listed for whom it is for, and for nobody else', async () => {
  const [alice, bob] = await Promise.all([toolNames(lines.closed), toolNames(lines.bob)])
  const waits = await callTool(lines.closed, 'lookup', { order: 'o1' })
  await approve()
  const made = await callTool(lines.closed, 'lookup', { order: 'o1' })
  const refused = await callTool(lines.bob, 'lookup', { order: 'o1' })
  const unknown = await callTool(lines.bob, 'nothing-like-it', { order: 'o1' })

  expect([alice, bob]).toEqual([['charge', 'lookup'], []])
  expect([waits.result, made.result['isError'] ?? false]).toMatchObject([PENDING, false])
  const blank = (text: string): string => text.replace(/lookup|nothing-like-it/, 'X').replace(/"id":\d+/, '')
  expect(blank(refused.text)).toBe(blank(unknown.text))
})

test.each<[string, object]>([
  ['under no name', { order: 'big', '': { order: 'small' } }],
  ['under a name with a backslash', { order: 'big', 'x\\': { order: 'small' }, 'x\\.order': 'small' }],
  ['in a list under no name', { order: 'big', '': [{ order: 'small' }] }],
])('no other argument stands for the one that a rule looks at: %s', async (_what, args) => {
  const before = effects.timesRun('charge', 'big')

  const { result } = await callTool(lines.open, 'charge', { ...args })

  expect([result['isError'], effects.timesRun('charge', 'big') - before]).toEqual([true, 0])
})

test('an approval is no way past another forbid', async () => {
  const { text } = await callTool(lines.open, 'charge', { order: 'big and never' })

  expect(text).toContain('Unknown tool')
  expect((await house.gatehouse.approvals.list({ state: 'pending', limit: 100 })).approvals).not.toContainEqual(
    expect.objectContaining({ rule: 'policy:nobody-ever' }),
  )
})

test('explain says that a person has to approve it, by which rule; replay counts it as allowed', async () => {
  const wanted = { user: ALICE, gateway: 'open', kind: 'tool', name: 'charge' } as const
  const big = await house.gatehouse.policy.explain({ ...wanted, args: { order: 'big' } })
  const small = await house.gatehouse.policy.explain({ ...wanted, args: { order: 'small' } })
  const never = await house.gatehouse.policy.explain({ ...wanted, args: { order: 'big and never' } })
  const replayed = await house.gatehouse.policy.replay({ since: 0, records: 1_000, text: null })

  expect(big).toMatchObject({
    effect: 'allow',
    approval: { id: 'big-orders', words: 'rule big-orders (orders over the limit)' },
  })
  expect(big.summary).toContain('once a person has approved the call')
  const always = await house.gatehouse.policy.explain({ user: ALICE, gateway: 'closed', kind: 'tool', name: 'lookup' })
  expect([always.approval?.id, always.depends]).toEqual(['alice-with-a-person', []])
  expect([small.approval, never.approval, never.effect]).toEqual([null, null, 'deny'])
  expect(replayed.changes.filter(({ tool, after }) => tool === 'lookup' && after === 'deny')).toEqual([])
})

test('the record of a call that waits names the rule that wants a person, and that of the call its approval', async () => {
  const find = () => house.gatehouse.audit.search({ what: 'tools/call', user: ALICE, tool: 'charge' })
  const { records } = await eventually(find, (found) => found.records.length >= 5)

  expect(records.find(({ extra }) => extra?.['rule'] === 'policy:big-orders')).toMatchObject({ decision: 'denied' })
  expect(records.filter(({ decision, extra }) => decision === 'allowed' && extra?.['approval'])).toHaveLength(1)
  expect((await ask(lines.open, 'tools/list')).status).toBe(200)
})

test('a call that was approved is asked about twice, and counted as one decision', async () => {
  const decisions = async (): Promise<number> => {
    const text = await (await fetch(`${house.url}/metrics`)).text()
    const counts = text.matchAll(/^gatehouse_policy_decisions_total\{[^}]*\} (\d+)$/gm)
    return [...counts].reduce((sum, [, count]) => sum + Number(count), 0)
  }
  await callTool(lines.closed, 'lookup', { order: 'counted' })
  await approve()
  const before = await decisions()

  await callTool(lines.closed, 'lookup', { order: 'counted' })

  expect((await decisions()) - before).toBe(1)
})
