import { afterAll, beforeAll, expect, test } from 'vitest'
import { startLeakyServer, type LeakyServer } from '../fakes/leaky-server.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { ask, callTool, gatewayUrl, textOf, type Line } from './talk.ts'

/** `explain` says of a call what would become of it, whatever stage decides: each answer is held against a real call. */
const CARD = '4111 1111 1111 1111'
const ADMIN = { userId: 'admin@example.com', keyId: null, face: 'cli' } as const
let leaky: LeakyServer
let house: TestHouse
const lines = new Map<string, Line>()

beforeAll(async () => {
  leaky = await startLeakyServer()
  house = await startHouse({
    toml: `
      [[servers]]
      name = "leaky"
      transport = "http"
      url = "${leaky.url}"

      [[gateways]]
      slug = "pinned"
      tools = ["leaky/*"]
      overrides = [{ tool = "leaky/take", pin = { text = "secret plans" } }]

      [[gateways]]
      slug = "watched"
      tools = ["leaky/*"]
      approve = ["leaky/take"]

      [[gateways]]
      slug = "granted"
      tools = ["leaky/*"]
      access = "grants"

      [[content_rules]]
      name = "no-cards"
      phase = "input"
      detect = ["card"]
      effect = "block"
      note = "cards stay here"

      [[content_rules]]
      name = "ask-for-mail"
      phase = "input"
      detect = ["email"]
      effect = "approve"

      [approvals]
      wait_ms = 0
    `,
  })
  await house.listed()
  for (const gateway of ['pinned', 'watched', 'granted']) {
    const key = await house.createKey({ user: 'alice', gateway })
    lines.set(gateway, { url: gatewayUrl(house, gateway), key })
  }
  const text = `@id("no-secrets") forbid(principal, action == Action::"call", resource) when
    { context.args.hasTag("text") && context.args.getTag("text") like "secret*" };`
  const { version } = await house.gatehouse.policy.putPolicy({ text }, ADMIN)
  await house.gatehouse.policy.activatePolicy(version, ADMIN)
})
afterAll(async () => {
  await house.close()
  await leaky.close()
})

const lineOf = (gateway: string): Line => lines.get(gateway) ?? { url: '' }
const explain = (gateway: string, args?: { [name: string]: string }) =>
  house.gatehouse.policy.explain({ user: 'alice', gateway, name: 'take', ...(args ? { args } : {}) })

test('rules look at the arguments with what the gateway pins, as in a call', async () => {
  const told = await explain('pinned', {})
  const called = await callTool(lineOf('pinned'), 'take', {})

  expect(told).toMatchObject({ effect: 'deny', deciding: [{ id: 'no-secrets' }] })
  expect(called.error?.message).toContain('Unknown tool')
})

test('a forbid that may hold is told as such, and has not decided a yes', async () => {
  const told = await explain('watched')
  const forbidden = await explain('watched', { text: 'secret' })

  expect(told).toMatchObject({ effect: 'allow', deciding: [], depends: ['rule no-secrets'] })
  expect(forbidden).toMatchObject({ effect: 'deny', deciding: [{ id: 'no-secrets' }], depends: [] })
})

test('an argument that the gateway sets itself is told of', async () => {
  const told = await explain('pinned', { text: 'mine' })

  expect(told).toMatchObject({ effect: 'deny', deciding: [{ id: 'gateway:overrides' }] })
  expect(told.summary).toContain('argument "text" is set by the gateway')
})

test('a content rule that stops these arguments is named, and neither they nor what was found are told', async () => {
  const told = await explain('watched', { text: `pay with ${CARD}` })
  const called = await callTool(lineOf('watched'), 'take', { text: `pay with ${CARD}` })

  expect(told).toMatchObject({
    effect: 'deny',
    summary:
      'alice may use tool leaky/take at watched, but not with these arguments: content rule no-cards (cards stay here).',
    content: [{ rule: 'no-cards', effect: 'block', found: 1 }],
    approval: null,
  })
  expect(JSON.stringify(told)).not.toContain('4111')
  expect(textOf(called)).toContain('no-cards')
  expect(await explain('watched', { text: 'nothing' })).toMatchObject({ effect: 'allow', content: [] })
})

test('who wants a person to approve it is told: the gateway, or a content rule before it', async () => {
  const byGateway = await explain('watched')
  const byRule = await explain('watched', { text: 'write to bob@example.com' })
  const called = await callTool(lineOf('watched'), 'take', { text: 'nothing' })

  expect(byGateway).toMatchObject({ effect: 'allow', approval: { id: 'gateway:approve' } })
  expect(byGateway.summary).toContain('once a person has approved the call')
  expect(byRule.approval).toEqual({ id: 'content:ask-for-mail', words: 'content rule ask-for-mail' })
  expect(textOf(called)).toContain('a person has to approve it')
})

test('a resource that is read through a template is explained as it is decided', async () => {
  const uri = 'leaky://keys/one'
  const read = async () => (await ask(lineOf('granted'), 'resources/read', { uri })).error === undefined
  const told = async () =>
    (await house.gatehouse.policy.explain({ user: 'alice', gateway: 'granted', kind: 'resource', name: uri })).effect

  const before = [await told(), await read()]
  const resources = ['leaky/leaky://keys/{name}']
  const added = await house.gatehouse.policy.addGrant(
    { subject: { kind: 'user', id: 'alice' }, gateway: 'granted', resources },
    ADMIN,
  )
  const after = [await told(), await read()]

  expect(added.grant.resources).toEqual(resources)
  expect([before, after]).toEqual([
    ['deny', false],
    ['allow', true],
  ])
  const { policy } = house.gatehouse
  const asItIs = await policy.replay({ since: 0 })
  const closed = await policy.replay({
    since: 0,
    text: 'forbid(principal, action == Action::"read", resource == Resource::"leaky/leaky://keys/{name}");',
  })
  expect(asItIs.changes.map(({ what, before: was, after: is }) => [what, was, is])).toEqual([
    ['resources/read', 'deny', 'allow'],
  ])
  expect(closed.changes.filter(({ what }) => what === 'resources/read')).toMatchObject([
    { tool: uri, before: 'allow', after: 'deny', calls: 1 },
  ])
})
