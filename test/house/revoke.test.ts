import { describe, expect, onTestFinished, test } from 'vitest'
import { createTestPlace, postgresIsAvailable } from '../../src/storage/testing.ts'
import { startSideEffectServer } from '../fakes/side-effect-server.ts'
import { openHouse } from './kit.ts'
import { type TestHouse } from './start-house.ts'
import { ask, callTool, eventually, gatewayUrl, listen, listenInSession, openSession, type Line } from './talk.ts'

const ADMIN = { userId: 'admin', keyId: null, face: 'rest' } as const
const WITHIN_MS = 1_000

/** Houses on one database, with a server whose answers take longer than any test. */
async function start(options: { storageUrl?: string } = {}) {
  const server = await startSideEffectServer({ latencyMs: 30_000 })
  onTestFinished(() => server[Symbol.asyncDispose]())
  const toml = `
    [[servers]]
    name = "slow"
    transport = "http"
    url = "${server.url}"

    [[gateways]]
    slug = "demo"
    tools = ["slow/*"]
  `
  const open = async (): Promise<TestHouse> => {
    const house = await openHouse({ toml, ...options })
    return house
  }
  return { server, open }
}

async function createKey(house: TestHouse) {
  return house.gatehouse.identity.createKey({ userId: 'alice@example.com', gateways: ['demo'] }, ADMIN)
}

async function timeOf(work: Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work
  return performance.now() - startedAt
}

describe('a key that is revoked', () => {
  test('ends the calls and streams that it opened, in both eras, at once', async () => {
    const { server, open } = await start()
    const house = await open()
    const { id, key } = await createKey(house)
    const line: Line = { url: gatewayUrl(house, 'demo'), key }
    const session = await openSession(line)
    const listening = await listen(line, { toolsListChanged: true })
    const inSession = await listenInSession(line, session)
    const modern = callTool(line, 'charge', { order: 'modern' })
    const legacy = session.call('charge', { order: 'legacy' })
    await eventually(
      () => server.executions.entries.length,
      (count) => count === 2,
    )

    await house.gatehouse.identity.revokeKey(id, ADMIN)
    const tookMs = await timeOf(Promise.all([modern, legacy, listening.ended, inSession.ended]))

    expect(tookMs).toBeLessThan(WITHIN_MS)
    expect((await modern).error?.message).toContain('was revoked')
    expect((await legacy).error?.message).toContain('was revoked')
    const { records } = await house.gatehouse.audit.search({ decision: 'cancelled' })
    expect(records.map(({ reason }) => reason)).toEqual([
      expect.stringContaining('was revoked'),
      expect.stringContaining('was revoked'),
    ])
  })

  test('so does an account that is deactivated', async () => {
    const { server, open } = await start()
    const house = await open()
    const { accounts } = house.gatehouse.identity
    await accounts.create({ userId: 'alice@example.com' }, ADMIN)
    const { key } = await createKey(house)
    const line: Line = { url: gatewayUrl(house, 'demo'), key }
    const listening = await listen(line, { toolsListChanged: true })
    const running = callTool(line, 'charge', { order: 'modern' })
    await eventually(
      () => server.executions.entries.length,
      (count) => count === 1,
    )

    await accounts.update('alice@example.com', { isActive: false }, ADMIN)
    const tookMs = await timeOf(Promise.all([running, listening.ended]))

    expect(tookMs).toBeLessThan(WITHIN_MS)
    expect((await running).error?.message).toContain('not active')
  })

  test('ends a call over REST', async () => {
    const { server, open } = await start()
    const house = await open()
    const { id, key } = await createKey(house)
    const call = fetch(`${house.url}/api/v1/gateways/demo/call`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ tool: 'charge', arguments: { order: 'rest' } }),
    })
    await eventually(
      () => server.executions.entries.length,
      (count) => count === 1,
    )

    await house.gatehouse.identity.revokeKey(id, ADMIN)
    const tookMs = await timeOf(call)

    expect(tookMs).toBeLessThan(WITHIN_MS)
    expect(await (await call).text()).toContain('was revoked')
  })

  test('ends what its admin followed', async () => {
    const { open } = await start()
    const house = await open()
    const admin = await house.gatehouse.identity.createKey({ gateways: ['*'], role: 'admin' }, ADMIN)
    const headers = { authorization: `Bearer ${admin.key}` }
    const response = await fetch(`${house.url}/api/v1/audit/follow`, { headers })

    await house.gatehouse.identity.revokeKey(admin.id, ADMIN)
    await createKey(house)

    await expect(response.text()).rejects.toThrow('terminated')
  })

  test('leaves what other keys opened alone', async () => {
    const { server, open } = await start()
    const house = await open()
    const mine = await createKey(house)
    const other = await createKey(house)
    const line: Line = { url: gatewayUrl(house, 'demo'), key: other.key }
    const stop = new AbortController()
    const call = callTool(line, 'charge', { order: 'x' }, { signal: stop.signal }).catch(() => 'stopped by the test')
    await eventually(
      () => server.executions.entries.length,
      (count) => count === 1,
    )

    await house.gatehouse.identity.revokeKey(mine.id, ADMIN)
    const { status } = await ask(line, 'tools/list')

    expect(status).toBe(200)
    expect(house.gatehouse.house.server('slow')?.slots.used).toBe(1)
    stop.abort()
    expect(await call).toBe('stopped by the test')
  })

  test.skipIf(!postgresIsAvailable())('ends them on the other replicas too', async () => {
    const place = await createTestPlace('postgres')
    onTestFinished(() => place.remove())
    const { server, open } = await start({ storageUrl: place.url })
    const [here, there] = await Promise.all([open(), open()])
    const { id, key } = await createKey(here)
    const line: Line = { url: gatewayUrl(there, 'demo'), key }
    await eventually(
      () => ask(line, 'tools/list'),
      ({ status }) => status === 200,
    )
    const call = callTool(line, 'charge', { order: 'x' })
    await eventually(
      () => server.executions.entries.length,
      (count) => count === 1,
    )

    await here.gatehouse.identity.revokeKey(id, ADMIN)
    const tookMs = await timeOf(call)

    expect(tookMs).toBeLessThan(WITHIN_MS)
    expect((await call).error?.message).toContain('was revoked')
  })
})
