import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import * as z from 'zod'
import { approvalsConfig } from '#approvals'
import { listen as listenOn, parseObject, readText, sendJson } from '../fakes/listen.ts'
import { createJournal } from '../fakes/observe.ts'
import { startSideEffectServer, type SideEffectServer } from '../fakes/side-effect-server.ts'
import { lineOf } from './kit.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { callTool, textOf, type Line } from './talk.ts'

/** The service behind `[approvals.webhook]`, which is told what waits and answers it; and settings that change meanwhile. */

const ALICE = 'alice@example.com'
const SECRET = 'webhook-secret-of-the-test'
const told = createJournal<string>()
/** What was told before. */
const seen = new Set<string>()

let effects: SideEffectServer
let hook: Awaited<ReturnType<typeof listenOn>>
let house: TestHouse
let line: Line
let orders = 0
const clock = { skippedMs: 0, now: () => Date.now() + clock.skippedMs }

beforeAll(async () => {
  effects = await startSideEffectServer()
  hook = await listenOn((req, res) => {
    void readText(req).then((text) => {
      told.add(text)
      sendJson(res, 200, {})
    })
  })
  house = await startHouse({ toml: TOML(effects.url), clock })
  await house.listed()
  line = await lineOf(house, ALICE)
})
beforeEach(() => {
  declare({})
  for (const each of told.entries) seen.add(each)
})
afterAll(async () => {
  await house.close()
  await Promise.all([hook.close(), effects.close()])
})

const TOML = (url: string): string => `
  [[servers]]
  name = "effects"
  transport = "http"
  url = "${url}"

  [[gateways]]
  slug = "demo"
  tools = ["effects/*"]
  approve = ["destructive"]
`

/** As a changed config file would. */
function declare(change: Parameters<typeof approvalsConfig.parse>[0]): void {
  const webhook = { url: hook.url, signing_secret: SECRET }
  house.gatehouse.approvals.declare(approvalsConfig.parse({ wait_ms: 0, webhook, ...Object(change) }))
}

const newOrder = (): string => `order-${(orders += 1)}`

async function callAndHear(order: string) {
  const { result } = await callTool(line, 'charge', { order })
  const { approval } = problemOf.parse(result)._meta['io.gatehouse/problem']
  const text = await told.until((each) => each.includes(approval))
  return z.object({ id: z.literal(approval), answer: z.url() }).parse(parseObject(text))
}

const problemOf = z.object({ _meta: z.object({ 'io.gatehouse/problem': z.object({ approval: z.string() }) }) })

type Send = { secret?: string; seconds?: number; header?: string }

async function send(url: string, body: object | string, { secret = SECRET, seconds, header }: Send = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const at = seconds ?? Math.floor(clock.now() / 1_000)
  const mac = createHmac('sha256', secret).update(`${at}.${text}`).digest('hex')
  const signature = header ?? `t=${at},v1=${mac}`
  const headers = { 'content-type': 'application/json', 'gatehouse-signature': signature }
  const response = await fetch(url, { method: 'POST', headers, body: text })
  return { status: response.status, text: await response.text() }
}

test('the service answers what it was told of, the call runs, and the trail says who decided there', async () => {
  const order = newOrder()
  const { id, answer } = await callAndHear(order)

  const first = await send(answer, { id, answer: 'approve', by: 'bob in chat' })
  const again = await send(answer, { id, answer: 'deny', by: 'carol in chat' })
  const made = await callTool(line, 'charge', { order })

  expect([first.status, again.status, textOf(made)]).toEqual([200, 409, `charged ${order}, time 1`])
  const { records } = await house.gatehouse.audit.search({ what: 'approval.approved' })
  expect(records[0]).toMatchObject({ userId: 'webhook:bob in chat', extra: { approval: id, via: 'webhook' } })
})

test.each<[string, number, (id: string) => object | string, Send?]>([
  ['a wrong secret', 401, (id) => ({ id, answer: 'approve', by: 'bob' }), { secret: 'another-secret-of-nobody' }],
  ['no signature', 401, (id) => ({ id, answer: 'approve', by: 'bob' }), { header: '' }],
  ['an old signature', 401, (id) => ({ id, answer: 'approve', by: 'bob' }), { seconds: 1_700_000_000 }],
  ['a signature from the future', 401, (id) => ({ id, answer: 'approve', by: 'bob' }), { seconds: 9_999_999_999 }],
  ['no answer', 401, (id) => ({ id, by: 'bob' })],
  ['no JSON', 401, () => 'approve'],
  ['nobody who decided', 401, (id) => ({ id, answer: 'approve' })],
  ['another approval', 404, () => ({ id: 'appr_none', answer: 'approve', by: 'bob' })],
  ['the caller in person', 403, (id) => ({ id, answer: 'approve', by: ALICE })],
  ['the caller in other letters', 403, (id) => ({ id, answer: 'approve', by: ` ${ALICE.toUpperCase()} ` })],
  ['a name with what nobody sees', 401, (id) => ({ id, answer: 'approve', by: `ali\u200bce@example.com` })],
  ['a name with NUL', 401, (id) => ({ id, answer: 'approve', by: 'bob\u0000' })],
])('an answer with %s does not count', async (_what, status, bodyOf, how) => {
  const order = newOrder()
  const { id, answer } = await callAndHear(order)

  const sent = await send(answer, bodyOf(id), how)
  const { result } = await callTool(line, 'charge', { order })

  expect([sent.status, parseObject(sent.text)]).toMatchObject([
    status,
    { type: expect.stringContaining('urn:problem:') },
  ])
  expect([result['isError'], effects.timesRun('charge', order)]).toEqual([true, 0])
})

test('what was forbidden, or whose group was taken away, while the call waited is not made by its approval', async () => {
  declare({ wait_ms: 20_000 })
  const order = newOrder()
  const waiting = callTool(line, 'charge', { order })
  const text = await told.until((each) => each.includes('approval.requested') && !seen.has(each))
  const { id, answer } = z.object({ id: z.string(), answer: z.url() }).parse(parseObject(text))
  await house.gatehouse.policy.declarePolicies([{ name: 'stop', text: 'forbid(principal, action, resource);' }])
  const sent = await send(answer, { id, answer: 'approve', by: 'bob' })
  const { text: said } = await waiting
  await house.gatehouse.policy.declarePolicies([])

  expect([sent.status, said.includes('Unknown tool'), effects.timesRun('charge', order)]).toEqual([200, true, 0])
})

test('without a webhook in the file nobody answers by one', async () => {
  const { id, answer } = await callAndHear(newOrder())
  declare({ webhook: undefined })

  const sent = await send(answer, { id, answer: 'approve', by: 'bob' })

  expect([sent.status, sent.text]).toEqual([401, expect.stringContaining('no webhook')])
})

test('a changed file counts from the next call on: how long an approval lasts, and who may answer', async () => {
  declare({ expires_ms: 5_000 })
  const brief = newOrder()
  const { id } = await callAndHear(brief)
  clock.skippedMs += 6_000
  const after = await house.gatehouse.approvals.look(id)
  declare({ who: 'caller' })
  const capabilities = { elicitation: { form: {} } }
  const asked = await callTool({ ...line, capabilities }, 'charge', { order: newOrder() })
  declare({})
  const unasked = await callTool({ ...line, capabilities }, 'charge', { order: newOrder() })

  expect(after.state).toBe('expired')
  expect([asked.result['resultType'], unasked.result['isError']]).toEqual(['input_required', true])
})
