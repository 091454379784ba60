import { expect, test } from 'vitest'
import { isJsonObject, type JsonObject } from '#kernel'
import { startLeakyServer } from '../fakes/leaky-server.ts'
import { startSideEffectServer } from '../fakes/side-effect-server.ts'
import { clientKinds, connect } from './matrix/clients.ts'
import { openHouse } from './kit.ts'
import { type TestHouse } from './start-house.ts'
import { ask, gatewayUrl } from './talk.ts'

/** What callers say who are asked themselves, in each era; and calls that are no tool calls. */

const ALICE = 'alice@example.com'

async function startWith(name: string, url: string, more: string): Promise<TestHouse> {
  const house = await openHouse({
    toml: `
      [approvals]
      wait_ms = 0
      who = "caller"

      [[servers]]
      name = "${name}"
      transport = "http"
      url = "${url}"

      [[gateways]]
      slug = "demo"
      tools = ["${name}/*"]
      ${more}
    `,
  })
  return house
}

function problemOf({ _meta: meta }: JsonObject): unknown {
  const problem = isJsonObject(meta) ? meta['io.gatehouse/problem'] : undefined
  return isJsonObject(problem) ? problem['code'] : undefined
}

async function storyOf({ gatehouse }: TestHouse): Promise<string[]> {
  const { records } = await gatehouse.audit.search({})
  return records
    .filter(({ what }) => what.startsWith('approval.') || what === 'tools/call')
    .map(({ what, decision }) => `${what} ${decision}`)
    .toReversed()
}

test('who declines is not asked again; who closes the question is; who cannot be asked is told of the approval', async () => {
  await using effects = await startSideEffectServer()
  const house = await startWith('effects', effects.url, 'approve = ["destructive"]')
  const outcomes: Record<string, unknown[]> = {}
  for (const kind of clientKinds) {
    const key = await house.createKey({ user: `${kind.replaceAll(' ', '-')}@example.com`, gateway: 'demo' })
    const at = { url: gatewayUrl(house, 'demo'), headers: { authorization: `Bearer ${key}` } }
    await using declining = await connect(kind, { ...at, answer: () => ({ action: 'decline' }) })
    await using closing = await connect(kind, { ...at, answer: () => ({ action: 'cancel' }) })
    await using bare = await connect(kind, { ...at, ability: 'bare' })
    const results = [
      await declining.callTool('charge', { order: 'o1' }),
      await declining.callTool('charge', { order: 'o1' }),
      await closing.callTool('charge', { order: 'o2' }),
      await closing.callTool('charge', { order: 'o2' }),
      await bare.callTool('charge', { order: 'o3' }),
    ]
    expect(results.map(({ isError }) => isError)).toEqual(results.map(() => true))
    const asked = [declining, closing, bare].map((client) => client.asked.entries.length)
    outcomes[kind] = [...results.map(problemOf), ...asked]
  }

  const [denied, pending] = ['approvals/denied', 'approvals/pending']
  const each = [denied, denied, pending, pending, pending, 1, 2, 0]
  expect(outcomes).toEqual(Object.fromEntries(clientKinds.map((kind) => [kind, each])))
  expect(effects.executions.total).toBe(0)
  const story = await storyOf(house)
  const count = (event: string): number => story.filter((one) => one === event).length
  expect(count('approval.requested allowed')).toBe(3 * clientKinds.length)
  expect(count('approval.denied allowed')).toBe(clientKinds.length)
  expect(count('approval.approved allowed') + count('tools/call allowed')).toBe(0)
})

test('a content rule asks for prompts and resources as well as for tools: not read before, and once after', async () => {
  await using leaky = await startLeakyServer({ eras: 'modern' })
  const rule = `
    [[content_rules]]
    name = "careful"
    phase = "input"
    pattern = "."
    effect = "approve"
  `
  const house = await startWith('leaky', leaky.url, rule)
  const key = await house.createKey({ user: ALICE, gateway: 'demo' })
  const line = { url: gatewayUrl(house, 'demo'), key }
  const wanted = [
    { method: 'prompts/get', params: { name: 'write', arguments: { tone: 'plain' } } },
    { method: 'resources/read', params: { uri: 'leaky://key' } },
  ]
  for (const { method, params } of wanted) {
    const before = await ask(line, method, params)
    const { approvals } = await house.gatehouse.approvals.list({ state: 'pending', limit: 10 })
    for (const { id } of approvals)
      await house.gatehouse.approvals.answer(id, 'approve', { userId: 'lead', via: 'rest' })
    const after = await ask(line, method, params)
    const again = await ask(line, method, params)

    expect(approvals).toMatchObject([{ rule: 'content:careful' }])
    expect([before, again].map(({ error }) => error?.message)).toEqual(
      Array.from({ length: 2 }, () => expect.stringContaining('a person has to approve it')),
    )
    expect([method, after.error]).toEqual([method, undefined])
    for (const { id } of (await house.gatehouse.approvals.list({ state: 'pending', limit: 10 })).approvals)
      await house.gatehouse.approvals.answer(id, 'deny', { userId: 'lead', via: 'rest' })
  }
})
