/**
 * Attacks on a whole house, by everybody who can reach it. Each test is one attempt; what must not come of it stands in
 * its name.
 */
import { connect } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import type { JsonObject } from '#kernel'
import { startArcadeWorker } from '../fakes/arcade-worker.ts'
import { startCounterServer } from '../fakes/counter-server.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { callTool, countOf, eventually, gatewayUrl, listen, toolNames, type Line } from './talk.ts'

async function openHouse(toml: string): Promise<TestHouse> {
  const house = await startHouse({ toml })
  onTestFinished(() => house.close())
  await house.listed()
  return house
}

async function lineOf(house: TestHouse, user: string, gateway = 'demo'): Promise<Line> {
  return { url: gatewayUrl(house, gateway), key: await house.createKey({ user, gateway }) }
}

const ADMIN = { userId: 'admin', keyId: null, face: 'cli' } as const
const PREFIX = 'io.modelcontextprotocol/'
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

// A server that seems to fail gets a rest, during which nobody is served: no caller may bring that about.
const POISONS: readonly [string, JsonObject][] = [
  ['a name that is no text', { [`${PREFIX}clientInfo`]: { name: 5, version: [], icons: [{ src: 1 }] } }],
  ['capabilities of the wrong shape', { [`${PREFIX}clientCapabilities`]: { roots: 'all', sampling: 7 } }],
  [
    'wrong shapes deeper down',
    { [`${PREFIX}clientCapabilities`]: { roots: { listChanged: 1 }, sampling: { tools: 1 } } },
  ],
  ['trace members that are no headers', { traceparent: TRACEPARENT, tracestate: 'a=\r\nb', baggage: 'k=\u0007' }],
]
test.each(POISONS.flatMap(([what, meta]) => (['legacy', 'modern'] as const).map((eras) => ({ what, meta, eras }))))(
  'a caller cannot take a server away from others: $what, $eras',
  async ({ meta, eras }) => {
    await using counter = await startCounterServer({ eras })
    await using worker = await startArcadeWorker()
    const house = await openHouse(`
    [[servers]]
    name = "counter"
    transport = "http"
    url = "${counter.url}"
    [[servers]]
    name = "ref"
    transport = "worker"
    url = "${worker.url}"
    secret = "${worker.secret}"
    [[gateways]]
    slug = "demo"
    tools = ["*"]
  `)
    const mallory = await lineOf(house, 'mallory')
    const tools = ['increment', (await toolNames(mallory)).find((name) => /add/i.test(name)) ?? '']

    for (let round = 0; round < 6; round++)
      for (const tool of tools) await callTool(mallory, tool, { a: 1, b: 2 }, { meta })

    const alice = await lineOf(house, 'alice')
    const answers = await Promise.all(tools.map((tool) => callTool(alice, tool, { a: 1, b: 2 })))
    expect(answers.map((answer) => answer.result['isError'] ?? false)).toEqual([false, false])
  },
)

/** Sends bytes as they are and resolves with all that comes back until the other side closes. */
async function sendRaw(house: TestHouse, bytes: string): Promise<string> {
  const { hostname, port } = new URL(house.url)
  const socket = connect({ host: hostname, port: Number(port) })
  const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()))
  let heard = ''
  socket.setEncoding('utf8').on('data', (text: string) => void (heard += text))
  socket.on('error', () => undefined)
  socket.write(bytes)
  await closed
  return heard
}

const IMPATIENT = `
  [limits]
  receive_ms = 300
  [[servers]]
  name = "reference"
  transport = "builtin"
  [[gateways]]
  slug = "demo"
  tools = ["*"]
  [[gateways]]
  slug = "open"
  auth = "none"
  tools = ["*"]
`

test.each([
  ['a head that never ends', 'GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: '],
  [
    'a body that never comes',
    'POST /mcp/open HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{',
  ],
  [
    'an API body that never comes',
    'POST /api/v1/gateways/open/call HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{',
  ],
])('%s is cut off', async (_what, bytes) => {
  const house = await openHouse(IMPATIENT)

  await sendRaw(house, bytes)

  expect((await fetch(`${house.url}/livez`)).status).toBe(200)
})

test('a stream that is open for longer than a request may take to arrive stays open', async () => {
  const house = await openHouse(IMPATIENT)
  const stream = await listen(await lineOf(house, 'alice'), { toolsListChanged: true })

  await sendRaw(house, 'GET / HTTP/1.1\r\nX-Slow: ') // returns when the limit has passed
  await house.gatehouse.toolsAdmin.addServer(ADMIN, { name: 'more', transport: 'builtin' })

  await eventually(
    () => countOf(stream, 'notifications/tools/list_changed'),
    (count) => count > 0,
  )
})

test.each(['/mcp/demo', '/mcp/nowhere'])('a stranger at %s is refused before the body has arrived', async (path) => {
  const house = await openHouse(IMPATIENT)
  const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 4000000\r\n\r\n`

  const answer = await sendRaw(house, `${head}{`)

  expect(answer).toMatch(/^HTTP\/1\.1 401 /)
})

// A proxy of this machine makes the whole world look like this machine.
test.each([{ 'x-forwarded-for': '203.0.113.9' }, { forwarded: 'for=203.0.113.9' }, { 'x-real-ip': '203.0.113.9' }])(
  'who comes through a proxy is not taken for this machine: %o',
  async (headers) => {
    const house = await openHouse(IMPATIENT)

    const health: unknown = await (await fetch(`${house.url}/health`, { headers })).json()
    const metrics = await fetch(`${house.url}/metrics`, { headers })
    const call = await callTool({ url: gatewayUrl(house, 'open'), headers }, 'echo')
    const rest = await fetch(`${house.url}/api/v1/gateways/open/tools`, { headers })

    expect(Object.keys(health ?? {}).sort()).toEqual(['status', 'version'])
    expect([metrics.status, call.status, rest.status]).toEqual([401, 403, 401])
  },
)

test('nobody outside can say where a request comes from', async () => {
  const house = await openHouse(IMPATIENT)
  const headers = { 'gatehouse-peer-address': '', 'x-forwarded-for': '203.0.113.9' }

  const metrics = await fetch(`${house.url}/metrics`, { headers })

  expect(metrics.status).toBe(401)
})
