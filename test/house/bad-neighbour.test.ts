import { sql } from 'kysely'
import { expect, onTestFinished, test } from 'vitest'
import {
  startFailing,
  startGarbage,
  startHanging,
  startHangingInCalls,
  startResetting,
  startRestartable,
  startToolless,
} from '../fakes/bad-neighbours.ts'
import { startChangingServer } from '../fakes/changing-server.ts'
import { startEchoUpstream } from '../fakes/echo-upstream.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { callTool, eventually, gatewayUrl, missingServers, textOf, toolNames, type Line } from './talk.ts'

const DEADLINE_MS = 500
const timing = {
  firstRetryMs: 100,
  maxRetryMs: 400,
  breaker: { threshold: 3, firstRestMs: 300, maxRestMs: 1_000 },
}

type Bad = { name: string; url: string }

/** A house with these servers behind one gateway, and a line to it. */
async function houseOf(servers: readonly Bad[], extra = ''): Promise<{ house: TestHouse; line: Line }> {
  const sections = servers.map(
    ({ name, url }) => `[[servers]]\nname = "${name}"\ntransport = "http"\nurl = "${url}"\n${extra}`,
  )
  const house = await startHouse({
    toml: `
      [limits]
      list_deadline_ms = ${DEADLINE_MS}

      ${sections.join('\n')}

      [[gateways]]
      slug = "demo"
      tools = ["*"]
    `,
    timing,
  })
  onTestFinished(() => house.close())
  const key = await house.createKey({ user: 'alice@example.com', gateway: 'demo' })
  return { house, line: { url: gatewayUrl(house, 'demo'), key } }
}

function healthOf(house: TestHouse, name: string) {
  const health = house.gatehouse.house.server(name)?.health()
  if (health === undefined) throw new Error(`there is no server "${name}"`)
  return health
}

test('bad neighbours neither delay nor empty the list, and each is named with its state, a reason and the next try', async () => {
  await using healthy = await startEchoUpstream()
  await using hanging = await startHanging()
  await using failing = await startFailing(500)
  await using resetting = await startResetting('after-request')
  await using garbage = await startGarbage()
  await using toolless = await startToolless()
  const { house, line } = await houseOf([
    { name: 'healthy', url: healthy.url },
    { name: 'hanging', url: hanging.url },
    { name: 'failing', url: failing.url },
    { name: 'resetting', url: resetting.url },
    { name: 'garbage', url: garbage.url },
    { name: 'toolless', url: toolless.url },
  ])

  const startedAt = performance.now()
  const names = await toolNames(line)
  const firstMs = performance.now() - startedAt
  const laterAt = performance.now()
  const missing = await missingServers(line)
  const laterMs = performance.now() - laterAt

  expect(names).toEqual(['echo'])
  expect(firstMs).toBeLessThan(DEADLINE_MS + 200)
  expect(laterMs).toBeLessThan(200)
  expect(missing.map(({ server, state }) => `${server} ${state}`).toSorted()).toEqual([
    'failing unreachable',
    'garbage unreachable',
    'hanging starting',
    'resetting unreachable',
    'toolless degraded',
  ])
  for (const { server, reason } of missing) {
    expect(reason, server).toMatch(/\w+ \w+/)
    expect(healthOf(house, server).retryAt, server).toBeGreaterThan(Date.now() - 1_000)
  }
  expect(textOf(await callTool(line, 'echo', { text: 'hello' }))).toBe('hello')
})

test('a server that answers and lists nothing is degraded, never healthy', async () => {
  await using toolless = await startToolless()
  const { house } = await houseOf([{ name: 'toolless', url: toolless.url }])

  await house.listed()

  expect(healthOf(house, 'toolless')).toMatchObject({ state: 'degraded', reason: 'it answers but offers no tools' })
  expect(house.gatehouse.toolsAdmin.listServers()[0]?.health.state).toBe('degraded')
})

test('a server that lists too much is degraded, and goes on with what it listed before', async () => {
  await using changing = await startChangingServer([{ name: 'one', description: 'The first.' }])
  const { house, line } = await houseOf([{ name: 'big', url: changing.url }])
  await house.listed()

  await changing.setTools([{ name: 'two', description: 'x'.repeat(5_000_000) }])
  const health = await eventually(
    () => healthOf(house, 'big'),
    ({ state }) => state !== 'healthy',
  )

  expect(health).toMatchObject({ state: 'degraded', retryAt: expect.any(Number) })
  expect(health.reason).toContain('lists more than 4194304 bytes on one page')
  expect(await toolNames(line)).toEqual(['one'])
})

test('calls to a server that hangs fail clearly, the circuit opens, rests and tells when it tries again', async () => {
  await using hanging = await startHangingInCalls()
  const { house, line } = await houseOf([{ name: 'hanging', url: hanging.url }], 'timeout_ms = 1000')
  const key = await house.createKey({ user: 'bob@example.com', gateway: 'demo' })
  await house.listed()

  const lines = [line, line, { ...line, key }]
  const failed = await Promise.all(lines.map((one) => callTool(one, 'echo', { text: 'x' })))
  const before = hanging.seen.entries.filter(({ rpc }) => rpc === 'tools/call').length
  const refused = await callTool(line, 'echo', { text: 'x' })

  for (const heard of failed) expect(textOf(heard)).toMatch(/server "hanging" gave no sign of life for 1 s/)
  expect(refused.result).toMatchObject({
    isError: true,
    _meta: { 'io.gatehouse/problem': { code: 'tools/circuit-open' } },
  })
  expect(textOf(refused)).toMatch(/did not answer several times in a row; it is tried again at \d{4}-/)
  expect(hanging.seen.entries.filter(({ rpc }) => rpc === 'tools/call').length).toBe(before)
  expect(healthOf(house, 'hanging')).toMatchObject({ state: 'degraded', retryAt: expect.any(Number) })
})

test('a tool that hangs for one user takes the server away from nobody else', async () => {
  await using hanging = await startHangingInCalls()
  const { house, line } = await houseOf([{ name: 'hanging', url: hanging.url }], 'timeout_ms = 1000')
  const key = await house.createKey({ user: 'bob@example.com', gateway: 'demo' })
  await house.listed()

  await Promise.all([1, 2, 3, 4, 5].map(() => callTool(line, 'echo', { text: 'x' })))
  await callTool({ ...line, key }, 'echo', { text: 'x' })

  expect(hanging.seen.entries.filter(({ rpc }) => rpc === 'tools/call')).toHaveLength(6)
})

test('the circuit closes by itself when the server answers again', async () => {
  await using server = await startRestartable((port) => startEchoUpstream({ port }))
  const { house, line } = await houseOf([{ name: 'echo', url: server.url }])
  await house.listed()
  await server.stop()
  const down = await Promise.all(Array.from({ length: 5 }, () => callTool(line, 'echo', { text: 'x' })))

  await eventually(
    () => healthOf(house, 'echo').state,
    (state) => state === 'unreachable',
  )
  await server.start()
  await eventually(
    () => healthOf(house, 'echo').state,
    (state) => state === 'healthy',
  )
  const up = await callTool(line, 'echo', { text: 'again' })

  for (const heard of down) expect(textOf(heard)).toMatch(/Server "echo"|server "echo"/)
  expect(textOf(up)).toBe('again')
})

test('a server that comes up late is listed and callable without any client action', async () => {
  await using server = await startRestartable((port) => startEchoUpstream({ port }))
  await server.stop()
  const { line } = await houseOf([{ name: 'echo', url: server.url }])
  const before = await toolNames(line)

  await server.start()
  const after = await eventually(
    () => toolNames(line),
    (names) => names.length > 0,
  )

  expect(before).toEqual([])
  expect(after).toEqual(['echo'])
  expect(textOf(await callTool(line, 'echo', { text: 'late' }))).toBe('late')
})

test('a store that is down is not blamed on the servers, and calls to them go on', async () => {
  await using changing = await startChangingServer([{ name: 'one', description: 'The first.' }])
  const { house, line } = await houseOf([{ name: 'up', url: changing.url }])
  await house.listed()
  const db = house.gatehouse.storage.tables<object>()
  await sql`alter table tools_offer rename to tools_offer_away`.execute(db)

  await changing.setTools([{ name: 'two', description: 'The second.' }])
  const during = await eventually(
    () => healthOf(house, 'up'),
    ({ state }) => state !== 'healthy',
  )
  const called = await callTool(line, 'one')
  await sql`alter table tools_offer_away rename to tools_offer`.execute(db)
  const after = await eventually(
    () => toolNames(line),
    (names) => names.includes('two'),
  )

  expect(during).toMatchObject({ state: 'degraded', reason: 'it answers, but what it offers could not be stored' })
  expect(textOf(called)).toBe('one was called')
  expect(after).toEqual(['two'])
  expect(healthOf(house, 'up').state).toBe('healthy')
})
