import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { Pool } from 'undici'
import { createTestPlace } from '../../src/storage/testing.ts'
import { startCounterServer } from '../fakes/counter-server.ts'
import { startSideEffectServer } from '../fakes/side-effect-server.ts'
import { stdioCommand } from '../fakes/stdio-programs.ts'
import { lineOf } from './kit.ts'
import { startHouse } from './start-house.ts'
import { startHouseProcess } from './start-house-process.ts'
import { callTool, eventually, gatewayUrl, textOf } from './talk.ts'

/** Starts a house in a process of its own, with one key that is bound to no user. */
async function startRig(toml: string) {
  const place = await createTestPlace('sqlite')
  onTestFinished(() => place.remove())
  const before = await startHouse({ toml, dataDir: place.dataDir, storageUrl: place.url })
  const { key } = await before.gatehouse.identity.createKey(
    { userId: null, gateways: ['demo'], role: 'user' },
    { userId: 'test', keyId: null, face: 'cli' },
  )
  const { adminToken } = before
  // A house that is closed while it lists may leave the session of that listing at the server.
  await before.listed()
  await before.close()
  const house = await startHouseProcess({ toml, dataDir: place.dataDir, storageUrl: place.url })
  onTestFinished(() => house.stop())
  const metrics = async (): Promise<Readonly<Record<string, number>>> => {
    const response = await fetch(`${house.url}/metrics`, { headers: { authorization: `Bearer ${adminToken}` } })
    const lines = [...(await response.text()).matchAll(/^gatehouse_(\w+) (\d+)$/gm)]
    return Object.fromEntries(lines.map(([, name = '', value]) => [name, Number(value)]))
  }
  return { house, key, metrics, url: gatewayUrl(house, 'demo') }
}

/** Processes of this machine whose command line holds the text: the living, and those that nobody has reaped. */
function processesWith(text: string): { pid: number; isZombie: boolean }[] {
  return readdirSync('/proc').flatMap((entry) => {
    try {
      if (!/^\d+$/.test(entry) || !readFileSync(`/proc/${entry}/cmdline`, 'latin1').includes(text)) return []
      const stat = readFileSync(`/proc/${entry}/stat`, 'latin1')
      return [{ pid: Number(entry), isZombie: stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z') }]
    } catch {
      return [] // it ended while we looked
    }
  })
}

function zombiesOf(parent: number): number[] {
  return readdirSync('/proc').flatMap((entry) => {
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'latin1')
      const [state, ppid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return state === 'Z' && Number(ppid) === parent ? [Number(entry)] : []
    } catch {
      return []
    }
  })
}

test.for([{ isolation: 'shared' }, { isolation: 'user' }])(
  'a storm of 300 calls by 10 users keeps to the pool of processes, isolation by $isolation, and leaves nothing behind',
  async ({ isolation }) => {
    const tag = `--tag=${randomUUID()}`
    const { house, key, metrics, url } = await startRig(`
      [[servers]]
      name = "counter"
      transport = "stdio"
      command = ${JSON.stringify(stdioCommand('counter', '--era=legacy', tag))}
      isolation = "${isolation}"
      max_processes = 10

      [[gateways]]
      slug = "demo"
      tools = ["counter/*"]
    `)
    let most = 0
    const watching = setInterval(() => (most = Math.max(most, processesWith(tag).length)), 50)

    const users = Array.from({ length: 10 }, (_, n) => `user${n}@example.com`)
    const heard = await Promise.all(
      Array.from({ length: 300 }, (_, n) =>
        callTool({ url, key, headers: { 'gatehouse-user-id': users[n % 10] ?? '' } }, 'increment'),
      ),
    )
    clearInterval(watching)
    const held = (await metrics())['processes']
    const zombies = zombiesOf(house.pid)
    await house.stop()
    await eventually(
      () => processesWith(tag),
      (left) => left.length === 0,
    )

    expect(heard.map((one) => textOf(one)).filter((text) => !/^\d+$/.test(text))).toEqual([])
    // The process that is asked for its tools comes on top of the pool.
    expect(most).toBeLessThanOrEqual(11)
    expect(held).toBeLessThanOrEqual(11)
    expect(zombies).toEqual([])
  },
)

test('users beyond the pool of processes are refused clearly or wait for a place, and the pool stays what it is', async () => {
  const tag = `--tag=${randomUUID()}`
  const { key, url } = await startRig(`
    [[servers]]
    name = "slow"
    transport = "stdio"
    command = ${JSON.stringify(stdioCommand('slow', '--call-ms=50', tag))}
    isolation = "user"
    max_processes = 3

    [[gateways]]
    slug = "demo"
    tools = ["slow/*"]
  `)
  let most = 0
  const watching = setInterval(() => (most = Math.max(most, processesWith(tag).length)), 20)

  const texts = await Promise.all(
    Array.from({ length: 60 }, async (_, n) => {
      const headers = { 'gatehouse-user-id': `user${n % 10}@example.com` }
      return textOf(await callTool({ url, key, headers }, 'echo', { text: `call ${n}` }))
    }),
  )
  clearInterval(watching)

  const shed = texts.filter((text) => /already holds 3 \w+, all in use; try again/.test(text))
  expect(texts.filter((text) => text.startsWith('call ')).length).toBeGreaterThanOrEqual(18)
  expect(texts.filter((text) => !text.startsWith('call ') && !shed.includes(text))).toEqual([])
  expect(most).toBeLessThanOrEqual(4)
})

test('calls beyond what a server may do at once are refused clearly and at once, the others succeed', async () => {
  await using effects = await startSideEffectServer({ latencyMs: 300 })
  await using house = await startHouse({
    toml: `
      [[servers]]
      name = "effects"
      transport = "http"
      url = "${effects.url}"
      max_concurrency = 4

      [[gateways]]
      slug = "demo"
      tools = ["effects/*"]
    `,
  })
  await house.listed()
  const line = await lineOf(house, 'a@b.c')

  const texts = (
    await Promise.all(Array.from({ length: 60 }, (_, n) => callTool(line, 'charge', { order: `o${n}` })))
  ).map(textOf)

  const done = texts.filter((text) => text.startsWith('charged'))
  const shed = texts.filter((text) => /already works on 4 calls, its limit. Try again in a moment/.test(text))
  expect(done.length).toBeGreaterThanOrEqual(8)
  expect(done.length + shed.length).toBe(60)
  expect(effects.executions.total).toBe(done.length)
})

const SESSIONS = 20_000
const CALLERS = 200
const IDLE_MS = 1_800_000

test('20,000 sessions left without a word are gone after their time, with memory, sockets and upstream sessions', async () => {
  await using counter = await startCounterServer({ eras: 'legacy' })
  const { house, key, metrics } = await startRig(`
    [[servers]]
    name = "counter"
    transport = "http"
    url = "${counter.url}"

    [[gateways]]
    slug = "demo"
    tools = ["counter/*"]
  `)
  const leave = async (options: { sessions: number; callers: number }) => {
    await using crowd = crowdAt(house.url, key)
    await crowd.openSessions(options.sessions, async () => {})
    await crowd.openSessions(options.callers, (session) => crowd.call(session, 'increment'))
    return { ...(await metrics()), upstream: counter.sessions.live }
  }
  const expire = async (): Promise<void> => {
    await house.skip(IDLE_MS + 1_000)
    await eventually(metrics, (now) => now['client_sessions'] === 0 && now['upstream_sessions'] === 0, 20_000)
    await eventually(
      () => counter.sessions.live,
      (live) => live <= 1,
      20_000,
    )
  }
  // What is loaded, compiled and connected once is no leak.
  await leave({ sessions: 2_000, callers: CALLERS })
  await expire()
  const before = await house.weigh()

  const during = await leave({ sessions: SESSIONS, callers: CALLERS })
  await expire()
  const after = await house.weigh()

  expect(during).toMatchObject({ client_sessions: SESSIONS + CALLERS, upstream: CALLERS + 1 })
  expect(counter.sessions.live).toBe(1)
  expect(after.heapBytes).toBeLessThan(before.heapBytes * 1.1)
  expect(after.openFiles).toBeLessThanOrEqual(before.openFiles + 16)
})

/** Clients of the session era over a few connections, who leave without a word. */
function crowdAt(url: string, key: string) {
  const pool = new Pool(url, { connections: 16 })
  let lastId = 0
  const say = async (method: string, params: object, session: string | null) => {
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      authorization: `Bearer ${key}`,
      'gatehouse-user-id': 'leaver@example.com',
      ...(session === null ? {} : { 'mcp-session-id': session }),
    }
    const body = JSON.stringify({ jsonrpc: '2.0', id: (lastId += 1), method, params })
    const answer = await pool.request({ method: 'POST', path: '/mcp/demo', headers, body })
    await answer.body.dump()
    if (answer.statusCode !== 200) throw new Error(`"${method}" was refused with ${answer.statusCode}`)
    return String(answer.headers['mcp-session-id'] ?? '')
  }
  const hello = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'leaver', version: '1' } }
  return {
    openSessions: async (count: number, then: (session: string) => Promise<unknown>): Promise<void> => {
      let left = count
      const lane = async (): Promise<void> => {
        while (left > 0) {
          left -= 1
          await then(await say('initialize', hello, null))
        }
      }
      await Promise.all(Array.from({ length: 32 }, lane))
    },
    call: (session: string, name: string) => say('tools/call', { name, arguments: {} }, session),
    [Symbol.asyncDispose]: () => pool.close(),
  }
}
