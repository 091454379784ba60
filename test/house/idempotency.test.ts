import { McpServer } from '@modelcontextprotocol/server'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createTestPlace, forEachEngine, postgresIsAvailable, type TestEngine } from '../../src/storage/testing.ts'
import { serveMcp } from '../fakes/serve-mcp.ts'
import { startSideEffectServer, type SideEffectServer } from '../fakes/side-effect-server.ts'
import { startConformanceServer } from '../fixtures/conformance-server.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { ask, callTool, eventually, gatewayUrl, openSession, textOf, type Line } from './talk.ts'

const META = 'io.gatehouse/idempotency-key'

async function startReplicas(options: { engine: TestEngine; count: number; upstreamUrl: string; extra?: string }) {
  const place = await createTestPlace(options.engine)
  const toml = `
    [[servers]]
    name = "effects"
    transport = "http"
    url = "${options.upstreamUrl}"
    ${options.extra ?? ''}

    [[gateways]]
    slug = "demo"
    tools = ["effects/*"]
  `
  const replicas: TestHouse[] = []
  const start = async (dataDir?: string) => {
    const house = await startHouse({ toml, storageUrl: place.url, ...(dataDir === undefined ? {} : { dataDir }) })
    await house.listed()
    replicas.push(house)
    return house
  }
  for (let index = 0; index < options.count; index += 1) await start()
  onTestFinished(async () => {
    await Promise.all(replicas.map((house) => house.close()))
    await place.remove()
  })
  const [first] = replicas
  if (first === undefined) throw new Error('a house has at least one replica')
  const key = await first.createKey({ user: 'alice@example.com', gateway: 'demo' })
  const lineTo = (house: TestHouse, idempotencyKey?: string): Line => ({
    url: gatewayUrl(house, 'demo'),
    key,
    headers: idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey },
  })
  // A new key is known at the other replicas a moment later.
  await Promise.all(
    replicas.map((house) =>
      eventually(
        () => ask(lineTo(house), 'tools/list'),
        ({ status }) => status === 200,
      ),
    ),
  )
  return { first, replicas, lineTo, start }
}

async function startEffects(): Promise<SideEffectServer> {
  const effects = await startSideEffectServer()
  onTestFinished(() => effects.close())
  return effects
}

forEachEngine((engine) => {
  test('a repeated call gets the first outcome and runs once, in both eras', async () => {
    const effects = await startEffects()
    const { first, lineTo } = await startReplicas({ engine, count: 1, upstreamUrl: effects.url })
    const line = lineTo(first, 'k1')
    const session = await openSession(line)

    const heard = [
      await callTool(line, 'charge', { order: 'a' }),
      await callTool(line, 'charge', { order: 'a' }),
      await session.call('charge', { order: 'a' }),
    ]

    expect(heard.map(textOf)).toEqual(['charged a, time 1', 'charged a, time 1', 'charged a, time 1'])
    expect(effects.timesRun('charge', 'a')).toBe(1)
    const { records } = await first.gatehouse.audit.search({ tool: 'charge' })
    expect(records.map(({ reason }) => reason)).toEqual([
      'the first outcome, again',
      'the first outcome, again',
      expect.not.stringContaining('again'),
    ])
  })

  test('twenty at once with one key run once', async () => {
    const effects = await startEffects()
    effects.setLatency(100)
    const { first, lineTo } = await startReplicas({ engine, count: 1, upstreamUrl: effects.url })

    const heard = await Promise.all(
      Array.from({ length: 20 }, () => callTool(lineTo(first, 'k1'), 'charge', { order: 'a' })),
    )

    expect(new Set(heard.map(textOf))).toEqual(new Set(['charged a, time 1']))
    expect(effects.timesRun('charge', 'a')).toBe(1)
  })

  test('a key is for one call only: other arguments or another tool are refused, and nothing runs', async () => {
    const effects = await startEffects()
    const { first, lineTo } = await startReplicas({ engine, count: 1, upstreamUrl: effects.url })
    const line = lineTo(first, 'k1')
    await callTool(line, 'charge', { order: 'a' })

    const other = await callTool(line, 'charge', { order: 'b' })
    const tool = await callTool(line, 'lookup', { order: 'a' })

    expect(textOf(other)).toMatch(/idempotency key was used for another call/)
    expect(textOf(tool)).toMatch(/idempotency key was used for another call/)
    expect(effects.executions.total).toBe(1)
  })

  test('a call whose caller left is not made again, unless that is harmless', async () => {
    const effects = await startEffects()
    effects.setLatency(5_000)
    const { first, lineTo } = await startReplicas({ engine, count: 1, upstreamUrl: effects.url })
    const leaver = new AbortController()
    const left = [
      callTool(lineTo(first, 'k1'), 'charge', { order: 'a' }, { signal: leaver.signal }),
      callTool(lineTo(first, 'k2'), 'lookup', { order: 'a' }, { signal: leaver.signal }),
    ]
    await effects.executions.until(({ tool }) => tool === 'charge')
    await effects.executions.until(({ tool }) => tool === 'lookup')

    leaver.abort()
    await Promise.allSettled(left)
    effects.setLatency(0)
    const charge = await callTool(lineTo(first, 'k1'), 'charge', { order: 'a' })
    const lookup = await callTool(lineTo(first, 'k2'), 'lookup', { order: 'a' })

    expect(charge.result).toMatchObject({ isError: true })
    expect(textOf(charge)).toMatch(/whether it took effect is not known. It was not made again/)
    expect(textOf(lookup)).toBe('order a is open')
    expect(effects.timesRun('charge', 'a')).toBe(1)
  })

  test('a call that was refused before it was sent leaves its key free', async () => {
    const effects = await startEffects()
    effects.setLatency(1_000)
    const { first, lineTo } = await startReplicas({
      engine,
      count: 1,
      upstreamUrl: effects.url,
      extra: 'max_concurrency = 1',
    })
    const busy = [1, 2].map((n) => callTool(lineTo(first), 'charge', { order: `busy ${n}` }))
    await effects.executions.until(({ order }) => order.startsWith('busy'))

    const refused = await callTool(lineTo(first, 'k1'), 'charge', { order: 'a' })
    effects.setLatency(0)
    await Promise.all(busy)
    const again = await callTool(lineTo(first, 'k1'), 'charge', { order: 'a' })

    expect(textOf(refused)).toMatch(/already works on 1 calls, its limit/)
    expect(textOf(again)).toBe('charged a, time 1')
  })
})

test.for(['legacy', 'modern'] as const)(
  'each round of a call that asks a question has one outcome, with a %s server',
  async (eras) => {
    const upstream = await startConformanceServer({ eras })
    onTestFinished(() => upstream.close())
    const { first, lineTo } = await startReplicas({ engine: 'sqlite', count: 1, upstreamUrl: upstream.url })
    const line = { ...lineTo(first, 'k1'), capabilities: { elicitation: { form: {} } } }
    const ask = () => callTool(line, 'test_elicitation', { message: 'Who?' })
    const asked = [await ask(), await ask()]
    const [{ inputRequests, requestState } = {}] = asked.map(({ result }) => result)
    const answer = { action: 'accept', content: { username: 'ada', email: 'ada@example.com' } }
    const inputResponses = Object.fromEntries(Object.keys(Object(inputRequests)).map((name) => [name, answer]))
    const answerIt = () =>
      callTool(line, 'test_elicitation', { message: 'Who?' }, { retry: { requestState, inputResponses } })

    const done = [await answerIt(), await answerIt(), await answerIt()]

    expect(asked[1]?.result).toEqual(asked[0]?.result)
    expect(new Set(done.map(textOf)).size).toBe(1)
    expect(textOf(done[0] ?? { result: {} })).toContain('ada')
    const calls = upstream.requests.entries.filter(({ rpc }) => rpc === 'tools/call')
    expect(calls).toHaveLength(eras === 'legacy' ? 1 : 2)
  },
)

test('the key may come in _meta, which the server never sees; a bad one and two that differ are refused', async () => {
  const effects = await startEffects()
  const { first, lineTo } = await startReplicas({ engine: 'sqlite', count: 1, upstreamUrl: effects.url })

  const heard = [
    await callTool(lineTo(first), 'charge', { order: 'a' }, { meta: { [META]: 'k1' } }),
    await callTool(lineTo(first, 'k1'), 'charge', { order: 'a' }),
  ]
  const differ = await callTool(lineTo(first, 'k1'), 'charge', { order: 'a' }, { meta: { [META]: 'k2' } })
  const bad = await callTool(lineTo(first), 'charge', { order: 'a' }, { meta: { [META]: 'not visible\n' } })

  expect(heard.map(textOf)).toEqual(['charged a, time 1', 'charged a, time 1'])
  expect(differ).toMatchObject({ status: 400, error: { code: -32602 } })
  expect(bad).toMatchObject({ status: 400, error: { code: -32602 } })
  expect(effects.executions.total).toBe(1)
})

test('a result too large to be kept is not paid for by a second execution', async () => {
  let runs = 0
  const upstream = await serveMcp({
    build: () => {
      const mcp = new McpServer({ name: 'bulk', version: '1.0.0' })
      mcp.registerTool('bulk', { description: 'Two million letters.' }, () => {
        runs += 1
        return { content: [{ type: 'text', text: 'x'.repeat(2_000_000) }] }
      })
      return mcp
    },
  })
  onTestFinished(() => upstream.close())
  const { first, lineTo } = await startReplicas({ engine: 'sqlite', count: 1, upstreamUrl: upstream.url })

  const heard = await callTool(lineTo(first, 'k1'), 'bulk')
  const again = await callTool(lineTo(first, 'k1'), 'bulk')

  expect(textOf(heard).length).toBe(2_000_000)
  expect(textOf(again)).toMatch(/already made; its result was too large or is no longer kept, and it is not made again/)
  expect(runs).toBe(1)
})

describe.skipIf(!postgresIsAvailable())('on several replicas', () => {
  test('one key at all replicas at once runs once, and all get its outcome', async () => {
    const effects = await startEffects()
    effects.setLatency(200)
    const { replicas, lineTo } = await startReplicas({ engine: 'postgres', count: 2, upstreamUrl: effects.url })

    const heard = await Promise.all(
      [...replicas, ...replicas, ...replicas].map((house) => callTool(lineTo(house, 'k1'), 'charge', { order: 'a' })),
    )

    expect(new Set(heard.map(textOf))).toEqual(new Set(['charged a, time 1']))
    expect(effects.timesRun('charge', 'a')).toBe(1)
  })

  test('a call that failed at one replica without a known end is unknown at the others at once', async () => {
    const effects = await startEffects()
    effects.setLatency(5_000)
    const { replicas, lineTo } = await startReplicas({
      engine: 'postgres',
      count: 2,
      upstreamUrl: effects.url,
      extra: 'timeout_ms = 300',
    })
    const [here, there] = replicas.map((house) => lineTo(house, 'k1'))
    if (here === undefined || there === undefined) throw new Error('two replicas were started')

    const timedOut = await callTool(here, 'charge', { order: 'a' })
    const startedAt = performance.now()
    const again = await callTool(there, 'charge', { order: 'a' })

    expect(textOf(timedOut)).toMatch(/gave no sign of life/)
    expect(textOf(again)).toMatch(/whether it took effect is not known/)
    expect(performance.now() - startedAt).toBeLessThan(1_000)
    expect(effects.timesRun('charge', 'a')).toBe(1)
  })
})
