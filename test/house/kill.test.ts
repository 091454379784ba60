import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createTestPlace, forEachEngine, postgresIsAvailable, type TestPlace } from '../../src/storage/testing.ts'
import { startSideEffectServer } from '../fakes/side-effect-server.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { startHouseProcess, type HouseProcess } from './start-house-process.ts'
import { callTool, textOf, type Heard } from './talk.ts'

function tomlFor(upstreamUrl: string): string {
  return `
    [[servers]]
    name = "effects"
    transport = "http"
    url = "${upstreamUrl}"

    [[gateways]]
    slug = "demo"
    tools = ["effects/*"]
  `
}

type Call = { readonly order: string; readonly traceId: string }

/** Calls `charge` again and again on some lanes, each time for a new order, until a call fails; returns what was acknowledged. */
async function chargeUntilItFails(at: {
  url: string
  key: string
  lanes: number
  onAcknowledged(count: number): void
}) {
  const acknowledged: Call[] = []
  const lane = async (): Promise<void> => {
    for (;;) {
      const call = { order: randomBytes(8).toString('hex'), traceId: randomBytes(16).toString('hex') }
      const traceparent = `00-${call.traceId}-${randomBytes(8).toString('hex')}-01`
      const line = { url: `${at.url}/mcp/demo`, key: at.key }
      const heard = await callTool(line, 'charge', { order: call.order }, { meta: { traceparent } }).catch(() => null)
      if (heard === null) return
      if (!textOf(heard).startsWith('charged')) throw new Error(`unexpected: ${heard.text}`)
      acknowledged.push(call)
      at.onAcknowledged(acknowledged.length)
    }
  }
  await Promise.all(Array.from({ length: at.lanes }, lane))
  return acknowledged
}

async function tracesIn(house: TestHouse): Promise<(string | undefined)[]> {
  const traces: (string | undefined)[] = []
  let cursor: string | undefined
  do {
    const page = await house.gatehouse.audit.search({ what: 'tools/call' }, { cursor, limit: 1_000 })
    traces.push(...page.records.map(({ traceId }) => traceId))
    cursor = page.next ?? undefined
  } while (cursor !== undefined)
  return traces
}

/** A key that exists before the house that is killed does. */
async function makeKey(place: TestPlace, toml: string): Promise<string> {
  const house = await startHouse({ toml, dataDir: place.dataDir, storageUrl: place.url })
  const key = await house.createKey({ user: 'alice@example.com', gateway: 'demo' })
  await house.close()
  return key
}

forEachEngine((engine) => {
  test('kill -9 under load: each acknowledged call has its record, the chain is whole, nothing ran twice', async () => {
    await using effects = await startSideEffectServer({ latencyMs: 2 })
    await using place = await createTestPlace(engine)
    const toml = tomlFor(effects.url)
    const key = await makeKey(place, toml)
    const child = await startHouseProcess({ toml, dataDir: place.dataDir, storageUrl: place.url })

    const onAcknowledged = (count: number): void => {
      if (count === 300) void child.kill()
    }
    const acknowledged = await chargeUntilItFails({ url: child.url, key, lanes: 16, onAcknowledged })
    await child.kill()

    await using house = await startHouse({ toml, dataDir: place.dataDir, storageUrl: place.url })
    const traces = await tracesIn(house)
    const recorded = new Set(traces)
    expect(acknowledged.length).toBeGreaterThanOrEqual(300)
    expect(acknowledged.filter(({ traceId }) => !recorded.has(traceId))).toEqual([])
    expect(recorded.size).toBe(traces.length)
    expect(await house.gatehouse.audit.verify()).toMatchObject({ ok: true, problem: null })
    expect(acknowledged.filter(({ order }) => effects.timesRun('charge', order) !== 1)).toEqual([])
    expect(effects.executions.total).toBe(new Set(effects.executions.entries.map(({ order }) => order)).size)
  })

  test('a call that was cut off by kill -9 is "outcome unknown" after the restart, and never made again', async () => {
    await using effects = await startSideEffectServer({ latencyMs: 10_000 })
    await using place = await createTestPlace(engine)
    const toml = tomlFor(effects.url)
    const key = await makeKey(place, toml)
    const child = await startHouseProcess({ toml, dataDir: place.dataDir, storageUrl: place.url })
    const line = (url: string) => ({ url: `${url}/mcp/demo`, key, headers: { 'idempotency-key': 'k1' } })
    const cut = callTool(line(child.url), 'charge', { order: 'a' }).catch(() => 'cut off')
    await effects.executions.until(({ order }) => order === 'a')

    await child.kill()
    await using house = await startHouse({ toml, dataDir: place.dataDir, storageUrl: place.url })
    const again = await callTool(line(house.url), 'charge', { order: 'a' })

    expect(await cut).toBe('cut off')
    expect(textOf(again)).toMatch(/whether it took effect is not known. It was not made again/)
    expect(effects.timesRun('charge', 'a')).toBe(1)
  })
})

/** Houses on one Postgres database, each a process with a data directory of its own. */
async function startReplicas(place: TestPlace, toml: string, count: number): Promise<HouseProcess[]> {
  const start = async (): Promise<HouseProcess> => {
    const dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-replica-'))
    const house = await startHouseProcess({ toml, dataDir, storageUrl: place.url })
    onTestFinished(async () => {
      await house.stop()
      await rm(dataDir, { recursive: true, force: true })
    })
    return house
  }
  return Promise.all(Array.from({ length: count }, start))
}

/** Makes a call at one replica, and where that one is gone, again at the others, as a client with a list of addresses does. */
async function callSomewhere(urls: readonly string[], call: (url: string) => Promise<Heard>): Promise<Heard> {
  let failure: unknown
  for (const url of urls) {
    try {
      return await call(url)
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

describe.skipIf(!postgresIsAvailable())('three replicas, one killed under 200 calls a second', () => {
  test('idempotent calls all succeed elsewhere, and a keyed call never runs twice', { timeout: 60_000 }, async () => {
    await using effects = await startSideEffectServer({ latencyMs: 20 })
    const place = await createTestPlace('postgres')
    onTestFinished(() => place.remove())
    const toml = tomlFor(effects.url)
    const key = await makeKey(place, toml)
    const replicas = await startReplicas(place, toml, 3)
    const [victim] = replicas
    const results: Promise<{ tool: 'lookup' | 'charge'; order: string; text: string }>[] = []
    const callNumber = async (number: number) => {
      const tool = number % 2 === 0 ? 'lookup' : 'charge'
      const order = `${tool}-${number}`
      const urls = [0, 1, 2].map((shift) => `${replicas[(number + shift) % 3]?.url}/mcp/demo`)
      const headers: Record<string, string> = tool === 'charge' ? { 'idempotency-key': order } : {}
      const heard = await callSomewhere(urls, (url) => callTool({ url, key, headers }, tool, { order }))
      return { tool, order, text: textOf(heard) } as const
    }

    for (let number = 0; number < 400; number += 1) {
      if (number === 150) void victim?.kill()
      results.push(callNumber(number))
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    const all = await Promise.all(results)

    const lookups = all.filter(({ tool }) => tool === 'lookup')
    const charges = all.filter(({ tool }) => tool === 'charge')
    expect(lookups.filter(({ text }) => !text.endsWith('is open'))).toEqual([])
    expect(charges.filter(({ text }) => !/^charged|is not known/.test(text))).toEqual([])
    expect(charges.filter(({ order }) => effects.timesRun('charge', order) > 1)).toEqual([])
    const told = charges.filter(({ text }) => text.startsWith('charged'))
    expect(told.filter(({ order, text }) => text !== `charged ${order}, time 1`)).toEqual([])
    expect(told.length).toBeGreaterThan(150)
  })
})

test.skipIf(!postgresIsAvailable())(
  'a replica that is back under its old name does not make the others wait for what its earlier life began',
  async () => {
    await using effects = await startSideEffectServer({ latencyMs: 10_000 })
    const place = await createTestPlace('postgres')
    onTestFinished(() => place.remove())
    const toml = tomlFor(effects.url)
    const key = await makeKey(place, toml)
    const line = (url: string) => ({ url: `${url}/mcp/demo`, key, headers: { 'idempotency-key': 'k1' } })
    const child = await startHouseProcess({ toml, dataDir: place.dataDir, storageUrl: place.url })
    const cut = callTool(line(child.url), 'charge', { order: 'a' }).catch(() => 'cut off')
    await effects.executions.until(({ order }) => order === 'a')
    await child.kill()
    await cut
    const back = await startHouse({ toml, dataDir: place.dataDir, storageUrl: place.url })
    onTestFinished(() => back.close())
    const other = await startHouse({ toml, storageUrl: place.url })
    onTestFinished(() => other.close())

    const startedAt = performance.now()
    const again = await callTool(line(other.url), 'charge', { order: 'a' })

    expect(textOf(again)).toMatch(/whether it took effect is not known/)
    expect(performance.now() - startedAt).toBeLessThan(2_000)
    expect(effects.timesRun('charge', 'a')).toBe(1)
  },
)
