/**
 * Attacks on a whole house, by everybody who can reach it. Each test is one attempt; what must not come of it stands in
 * its name.
 */
import { readdir, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import type { JsonObject } from '#kernel'
import { startArcadeWorker } from '../fakes/arcade-worker.ts'
import { startCounterServer } from '../fakes/counter-server.ts'
import { listen as listenOn, parseObject, readText, sendJson } from '../fakes/listen.ts'
import { startPoisoned } from '../fakes/poisoned-server.ts'
import { ADMIN, lineOf, openHouse } from './kit.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { ask, callTool, countOf, eventually, gatewayUrl, listen, openSession, toolNames } from './talk.ts'

// For attempts that leave nothing behind, whatever comes of them.
let impatient: TestHouse
let quiet: TestHouse
beforeAll(async () => {
  impatient = await startHouse({ toml: IMPATIENT })
  quiet = await startHouse({ toml: TWO_GATEWAYS })
  await Promise.all([impatient.listed(), quiet.listed()])
})
afterAll(() => Promise.all([impatient.close(), quiet.close()]))

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
    const house = await openHouse({
      toml: `
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
  `,
    })
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
  await sendRaw(impatient, bytes)

  expect((await fetch(`${impatient.url}/livez`)).status).toBe(200)
})

test('a stream that is open for longer than a request may take to arrive stays open', async () => {
  const house = await openHouse({ toml: IMPATIENT })
  const stream = await listen(await lineOf(house, 'alice'), { toolsListChanged: true })

  await sendRaw(house, 'GET / HTTP/1.1\r\nX-Slow: ') // returns when the limit has passed
  await house.gatehouse.toolsAdmin.addServer(ADMIN, { name: 'more', transport: 'builtin' })

  await eventually(
    () => countOf(stream, 'notifications/tools/list_changed'),
    (count) => count > 0,
  )
})

test.each(['/mcp/demo', '/mcp/nowhere'])('a stranger at %s is refused before the body has arrived', async (path) => {
  const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 4000000\r\n\r\n`

  const answer = await sendRaw(impatient, `${head}{`)

  expect(answer).toMatch(/^HTTP\/1\.1 401 /)
})

// A proxy of this machine makes the whole world look like this machine.
test.each([{ 'x-forwarded-for': '203.0.113.9' }, { forwarded: 'for=203.0.113.9' }, { 'x-real-ip': '203.0.113.9' }])(
  'who comes through a proxy is not taken for this machine: %o',
  async (headers) => {
    const health: unknown = await (await fetch(`${impatient.url}/health`, { headers })).json()
    const metrics = await fetch(`${impatient.url}/metrics`, { headers })
    const call = await callTool({ url: gatewayUrl(impatient, 'open'), headers }, 'echo')
    const rest = await fetch(`${impatient.url}/api/v1/gateways/open/tools`, { headers })

    expect(Object.keys(health ?? {}).sort()).toEqual(['status', 'version'])
    expect([metrics.status, call.status, rest.status]).toEqual([401, 403, 401])
  },
)

test('nobody outside can say where a request comes from', async () => {
  const headers = { 'gatehouse-peer-address': '', 'x-forwarded-for': '203.0.113.9' }

  const metrics = await fetch(`${impatient.url}/metrics`, { headers })

  expect(metrics.status).toBe(401)
})

const TWO_GATEWAYS = `
  [[servers]]
  name = "reference"
  transport = "builtin"
  [[gateways]]
  slug = "demo"
  tools = ["*"]
  [[gateways]]
  slug = "other"
  tools = ["*"]
`

type Attempt = { readonly method: string; readonly path: string; readonly body?: unknown }
const ADMIN_OPERATIONS: readonly Attempt[] = [
  { method: 'GET', path: '/api/v1/servers' },
  { method: 'POST', path: '/api/v1/servers', body: { name: 'sh', transport: 'stdio', command: ['sh', '-c', 'id'] } },
  { method: 'PUT', path: '/api/v1/servers/reference', body: { name: 'reference', transport: 'builtin' } },
  { method: 'DELETE', path: '/api/v1/servers/reference' },
  { method: 'POST', path: '/api/v1/servers/reference/check' },
  { method: 'GET', path: '/api/v1/gateways' },
  { method: 'POST', path: '/api/v1/gateways', body: { slug: 'open', auth: 'none', tools: ['*'] } },
  { method: 'DELETE', path: '/api/v1/gateways/demo' },
  { method: 'GET', path: '/api/v1/keys' },
  { method: 'POST', path: '/api/v1/keys', body: { gateways: ['*'], role: 'admin' } },
  { method: 'DELETE', path: '/api/v1/keys/key_1' },
  { method: 'GET', path: '/api/v1/changes' },
  { method: 'POST', path: '/api/v1/changes/x/accept' },
  { method: 'GET', path: '/api/v1/audit' },
  { method: 'GET', path: '/api/v1/audit/follow' },
  { method: 'GET', path: '/api/v1/audit/verify' },
  { method: 'POST', path: '/api/v1/backup' },
]

async function attempt(house: TestHouse, { method, path, body }: Attempt, headers: Record<string, string>) {
  const content = body === undefined ? {} : { body: JSON.stringify(body) }
  const type = body === undefined ? {} : { 'content-type': 'application/json' }
  return (await fetch(`${house.url}${path}`, { method, headers: { ...type, ...headers }, ...content })).status
}

test.each([
  ['without a key', 401, async () => ({})],
  [
    'with the key of a user',
    403,
    async (house: TestHouse) => bearer(await house.createKey({ user: 'm', gateway: 'demo' })),
  ],
  [
    'with a key that may name anybody',
    403,
    async (house: TestHouse) => bearer(await house.createKey({ gateway: 'demo' })),
  ],
  ['with a token of the right form', 401, async () => bearer(`gha_${'A'.repeat(43)}`)],
])('nothing of the admin API is done %s', async (_who, status, headersOf) => {
  const headers = await headersOf(quiet)

  const statuses = await Promise.all(ADMIN_OPERATIONS.map((operation) => attempt(quiet, operation, headers)))

  expect(new Set(statuses)).toEqual(new Set([status]))
  expect(quiet.gatehouse.toolsAdmin.listServers().map(({ name }) => name)).toEqual(['reference'])
})

function bearer(key: string): Record<string, string> {
  return { authorization: `Bearer ${key}` }
}

// What a web page of somebody else can have a browser send, with the admin's own key as the browser would know it.
test.each<[string, Record<string, string>]>([
  ['a form', { 'content-type': 'application/x-www-form-urlencoded', origin: 'https://evil.example' }],
  ['text/plain', { 'content-type': 'text/plain', origin: 'https://evil.example' }],
  ['text/plain without an origin', { 'content-type': 'text/plain' }],
  ['a sandboxed frame', { 'content-type': 'application/json', origin: 'null' }],
  ['JSON from elsewhere', { 'content-type': 'application/json', origin: 'https://evil.example' }],
  ['JSON from another port', { 'content-type': 'application/json', origin: 'http://localhost:3000' }],
])('a web page cannot add a server: %s', async (_what, headers) => {
  const response = await fetch(`${quiet.url}/api/v1/servers`, {
    method: 'POST',
    body: JSON.stringify({ name: 'evil', transport: 'builtin' }),
    headers: { ...headers, ...bearer(quiet.adminToken) },
  })

  expect([403, 415]).toContain(response.status)
  expect(quiet.gatehouse.toolsAdmin.listServers()).toHaveLength(1)
})

test.each(['/', '/health', '/metrics', '/openapi.json', '/api/v1/keys', '/mcp/demo'])(
  'a name that was rebound to this machine reads nothing at %s',
  async (path) => {
    const answer = await sendRaw(quiet, `GET ${path} HTTP/1.1\r\nHost: evil.example:8600\r\nConnection: close\r\n\r\n`)

    expect(answer).toMatch(/^HTTP\/1\.1 403 /)
    expect(answer).not.toMatch(/reference|process_cpu/)
  },
)

test('a key opens no gateway but its own, by no face', async () => {
  const key = await quiet.createKey({ user: 'mallory', gateway: 'demo' })

  const mcp = await callTool({ url: gatewayUrl(quiet, 'other'), key }, 'echo', { text: 'x' })
  const session = await openSession({ url: gatewayUrl(quiet, 'demo'), key })
  const moved = await session.ask('tools/list', {}, { url: gatewayUrl(quiet, 'other') })
  const body = { tool: 'echo', arguments: {} }
  const rest = await attempt(quiet, { method: 'POST', path: '/api/v1/gateways/other/call', body }, bearer(key))
  const listed = await attempt(quiet, { method: 'GET', path: '/api/v1/gateways/other/tools' }, bearer(key))

  expect([mcp.status, moved.status, rest, listed]).toEqual([403, 403, 403, 403])
})

test('a key of one user acts for nobody else, by no face', async () => {
  const line = await lineOf(quiet, 'mallory')
  const headers = { 'gatehouse-user-id': 'alice' }
  const key = line.key ?? ''

  const mcp = await callTool({ ...line, headers }, 'echo', { text: 'x' })
  const alias = await callTool({ ...line, headers: { 'arcade-user-id': 'alice' } }, 'echo', { text: 'x' })
  const body = { tool: 'echo', user: 'alice' }
  const rest = await attempt(quiet, { method: 'POST', path: '/api/v1/gateways/demo/call', body }, bearer(key))
  const query = await attempt(quiet, { method: 'GET', path: '/api/v1/gateways/demo/tools?user=alice' }, bearer(key))

  expect([mcp.status, alias.status, rest, query]).toEqual([403, 403, 403, 403])
})

test('a session that is known is of no use to anybody else', async () => {
  const alice = await openSession(await lineOf(quiet, 'alice'))
  const mallory = await lineOf(quiet, 'mallory')
  const unbound = await quiet.createKey({ gateway: 'demo' })
  const stolen = { ...mallory, headers: alice.headers }

  const calls = await Promise.all([
    alice.call('echo', { text: 'x' }, { key: mallory.key }),
    alice.call('echo', { text: 'x' }, { key: unbound, headers: { 'gatehouse-user-id': 'alice' } }),
  ])
  const ended = await fetch(stolen.url, {
    method: 'DELETE',
    headers: { ...alice.headers, ...bearer(mallory.key ?? '') },
  })

  expect([...calls.map(({ status }) => status), ended.status]).toEqual([404, 404, 404])
  expect((await alice.call('echo', { text: 'still mine' })).status).toBe(200)
})

test('references in a server that is added over the API are not followed', async () => {
  const house = await openHouse({ toml: TWO_GATEWAYS })
  const seen: (string | undefined)[] = []
  const upstream = await listenOn((req, res) => {
    seen.push(req.headersDistinct['x-stolen']?.[0])
    res.writeHead(500).end()
  })
  onTestFinished(() => upstream.close())
  const body = {
    name: 'thief',
    transport: 'http',
    url: upstream.url,
    headers: { 'x-stolen': '${file:/etc/passwd} ${env:PATH}' },
    allow_addresses: ['127.0.0.1'],
  }

  const status = await attempt(house, { method: 'POST', path: '/api/v1/servers', body }, bearer(house.adminToken))

  expect(status).toBe(201)
  expect(new Set(seen)).toEqual(new Set(['${file:/etc/passwd} ${env:PATH}']))
})

test('a server that is added over the API reaches no inside address', async () => {
  const house = await openHouse({ toml: TWO_GATEWAYS })
  let asked = 0
  const inside = await listenOn((_req, res) => {
    asked += 1
    res.end()
  })
  onTestFinished(() => inside.close())
  const url = inside.url.replace('127.0.0.1', 'localhost')

  for (const [name, target] of [
    ['a', inside.url],
    ['b', url],
    ['c', inside.url.replace('127.0.0.1', '[::ffff:7f00:1]')],
  ])
    await attempt(
      house,
      { method: 'POST', path: '/api/v1/servers', body: { name, transport: 'http', url: target } },
      bearer(house.adminToken),
    )

  expect(asked).toBe(0)
  expect(house.gatehouse.toolsAdmin.listServers().filter(({ health }) => health.state === 'unreachable')).toHaveLength(
    3,
  )
})

test('keys and tokens stand in no log, no record and no answer', async () => {
  const house = await openHouse({ toml: TWO_GATEWAYS })
  const line = await lineOf(house, 'alice')
  const key = line.key ?? ''
  await callTool(line, 'echo', { text: 'a private text' })
  await callTool({ ...line, key: `${key}x` }, 'echo')
  await callTool(line, 'no-such-tool', { text: 'a private text' })
  await attempt(house, { method: 'GET', path: '/api/v1/keys' }, bearer(house.adminToken))

  const headers = bearer(house.adminToken)
  const paths = ['/api/v1/audit', '/api/v1/keys', '/api/v1/servers', '/health', '/metrics', '/openapi.json']
  const answers = await Promise.all(paths.map(async (path) => (await fetch(`${house.url}${path}`, { headers })).text()))
  const all = [...house.logs, ...answers].join('\n')

  expect(all).toContain('no-such-tool')
  for (const secret of [key, key.slice(-20), house.adminToken, 'a private text']) expect(all).not.toContain(secret)
})

test('nobody else on this machine can read what the house keeps', async () => {
  const house = await openHouse({ toml: TWO_GATEWAYS })
  await attempt(house, { method: 'POST', path: '/api/v1/backup' }, bearer(house.adminToken))

  const entries = await readdir(house.dataDir, { recursive: true, withFileTypes: true })
  const modes = await Promise.all(
    entries.map(async (entry) => [entry.name, (await stat(join(entry.parentPath, entry.name))).mode & 0o077] as const),
  )

  expect(modes.map(([name]) => name)).toEqual(expect.arrayContaining(['admin-token', 'running.json']))
  expect(modes.filter(([, others]) => others !== 0)).toEqual([])
})

test('a server full of poison harms neither the house nor its neighbours', async () => {
  await using poisoned = await startPoisoned()
  const house = await openHouse({
    toml: `
    [[servers]]
    name = "evil"
    transport = "http"
    url = "${poisoned.url}"
    [[servers]]
    name = "reference"
    transport = "builtin"
    [[gateways]]
    slug = "demo"
    tools = ["*"]
  `,
  })
  const line = await lineOf(house, 'alice')

  const names = await toolNames(line)
  const answers = await Promise.all(names.map((name) => callTool(line, name, { text: 'x' })))
  await ask(line, 'resources/list')
  await ask(line, 'resources/read', { uri: `a${'b'.repeat(8_000)}` })
  const servers = await (await fetch(`${house.url}/api/v1/servers`, { headers: bearer(house.adminToken) })).text()
  await house.gatehouse.toolsAdmin.addGateway(ADMIN, { slug: 'new', tools: ['*'] })

  expect(names.every((name) => /^[A-Za-z0-9_-]{1,64}$/.test(name))).toBe(true)
  expect(new Set(names).size).toBe(names.length)
  expect(names.length).toBeGreaterThan(8)
  expect(answers.map(({ status }) => status)).toEqual(names.map(() => 200))
  expect(Reflect.get({}, 'polluted')).toBeUndefined()
  expect(poisoned.followed).toBe(0)
  expect(servers).not.toContain('"unreachable"')
  expect(await toolNames(await lineOf(house, 'alice', 'new'))).toEqual(names)
})

test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
  'the name %s means nothing anywhere',
  async (name) => {
    const line = await lineOf(quiet, 'alice')
    const admin = bearer(quiet.adminToken)

    const statuses = await Promise.all([
      ask(line, name).then(({ error }) => error?.code),
      callTool(line, name).then(({ error }) => error?.code),
      ask(line, 'resources/read', { uri: name }).then(({ error }) => error?.code),
      ask({ ...line, headers: { 'mcp-session-id': name } }, 'tools/list').then(({ status }) => status),
      ask({ ...line, url: gatewayUrl(quiet, name) }, 'tools/list').then(({ status }) => status),
      attempt(quiet, { method: 'GET', path: `/api/v1/gateways/${name}` }, admin),
      attempt(quiet, { method: 'POST', path: `/api/v1/servers/${name}/check` }, admin),
      attempt(quiet, { method: 'GET', path: `/api/v1/gateways/demo/tools?${name}=1` }, admin),
    ])

    expect(statuses).toEqual([-32601, -32602, -32601, 200, 403, 404, 404, 400])
  },
)

test('arguments that would change every object change nothing', async () => {
  const house = await openHouse({ toml: TWO_GATEWAYS })
  const line = await lineOf(house, 'alice')
  const args: JsonObject = JSON.parse(
    '{"text":"x","__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
  )
  const body = `{"tool":"echo","arguments":${JSON.stringify(args)},"__proto__":{"user":"root"}}`

  await callTool(line, 'echo', args, { meta: args })
  const rest = await fetch(`${house.url}/api/v1/gateways/demo/call`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...bearer(line.key ?? '') },
  })

  expect(rest.status).toBeLessThan(500)
  expect(Reflect.get({}, 'polluted')).toBeUndefined()
  expect(house.logs.join('\n')).not.toContain('"level":"error"')
})

test.each(['a\r\nb', ' alice', '\u202Ealice', 'x'.repeat(257)])(
  'not even an admin acts for a user whose name deceives: %o',
  async (user) => {
    const body = { tool: 'echo', user }

    const status = await attempt(
      quiet,
      { method: 'POST', path: '/api/v1/gateways/demo/call', body },
      bearer(quiet.adminToken),
    )

    expect(status).toBe(400)
  },
)

test('a task whose id is as long as a book is no task', async () => {
  await using server = await listenOn((req, res) => {
    void readText(req).then((text) => {
      const { id, method } = parseObject(text) ?? {}
      const lists = {
        supportedVersions: ['2026-07-28'],
        capabilities: { tools: {} },
        tools: [{ name: 't', inputSchema: {} }],
      }
      const task = { resultType: 'task', taskId: 'x'.repeat(1_000_000), status: 'working' }
      sendJson(res, 200, { jsonrpc: '2.0', id, result: method === 'tools/call' ? task : lists })
    })
  })
  const house = await openHouse({
    toml: `
    [[servers]]
    name = "evil"
    transport = "http"
    url = "${server.url}"
    [[gateways]]
    slug = "demo"
    tools = ["*"]
  `,
  })
  const line = await lineOf(house, 'alice')

  const answer = await callTool({ ...line, capabilities: { extensions: { [`${PREFIX}tasks`]: {} } } }, 't')

  expect(answer.text.length).toBeLessThan(10_000)
  expect(answer.result['isError']).toBe(true)
})

const PROGRAM = { name: 'sh', transport: 'stdio', command: ['sh', '-c', 'exit 1'] }

async function adminKey(house: TestHouse): Promise<string> {
  return (await house.gatehouse.identity.createKey({ gateways: ['*'], role: 'admin' }, ADMIN)).key
}

test('an admin key runs no programs on this machine, by adding or by changing a server, and the attempt is recorded', async () => {
  const house = await openHouse({ toml: TWO_GATEWAYS })
  const key = bearer(await adminKey(house))
  await house.gatehouse.toolsAdmin.addServer(ADMIN, { name: 'mine', transport: 'builtin' })

  const added = await attempt(house, { method: 'POST', path: '/api/v1/servers', body: PROGRAM }, key)
  const changed = await attempt(
    house,
    { method: 'PUT', path: '/api/v1/servers/mine', body: { ...PROGRAM, name: 'mine' } },
    key,
  )

  expect([added, changed]).toEqual([403, 403])
  expect(house.gatehouse.toolsAdmin.listServers().map(({ transport }) => transport)).not.toContain('stdio')
  const { records } = await house.gatehouse.audit.search({ decision: 'denied' })
  expect(records.toReversed().map(({ what, server }) => `${what} ${server}`)).toEqual([
    'server.added sh',
    'server.changed mine',
  ])
})

test.each([
  ['file', { token: 403, key: 403 }],
  ['local', { token: 201, key: 403 }],
  ['admin', { token: 201, key: 201 }],
] as const)('programs_from = "%s" says who may add programs', async (from, expected) => {
  const house = await openHouse({
    toml: `[server]\nlisten = "127.0.0.1:0"\nprograms_from = "${from}"\n${TWO_GATEWAYS}`,
  })
  const add = (name: string, by: string) =>
    attempt(house, { method: 'POST', path: '/api/v1/servers', body: { ...PROGRAM, name } }, bearer(by))

  const token = await add('by-token', house.adminToken)
  const key = await add('by-key', await adminKey(house))

  expect({ token, key }).toEqual(expected)
})

test('whoever may change servers by a rule alone adds no program, and makes none of a server', async () => {
  const house = await openHouse({
    toml: `[server]\nlisten = "127.0.0.1:0"\nprograms_from = "admin"\n${TWO_GATEWAYS}`,
  })
  const { identity, policy } = house.gatehouse
  await identity.accounts.create({ userId: 'tim@example.com' }, ADMIN)
  const text = 'permit(principal == User::"tim@example.com", action == Action::"admin:servers", resource);'
  await policy.activatePolicy((await policy.putPolicy({ text }, ADMIN)).version, ADMIN)
  const made = await identity.createKey({ userId: 'tim@example.com', gateways: ['*'], role: 'admin' }, ADMIN)
  const use = (method: string, path: string, body: object) =>
    attempt(house, { method, path: `/api/v1/servers${path}`, body }, bearer(made.key))
  const http = { name: 'site', transport: 'http', url: 'https://mcp.example.com/mcp' }

  const [site, added, changed] = [
    await use('POST', '', http),
    await use('POST', '', { ...PROGRAM, name: 'shell' }),
    await use('PUT', '/site', { ...PROGRAM, name: 'site' }),
  ]

  expect([site, added, changed]).toEqual([201, 403, 403])
})

test('answers to a question that nobody asked are no way around a rate limit', async () => {
  const house = await openHouse({
    toml: `
    [[servers]]
    name = "reference"
    transport = "builtin"
    [[gateways]]
    slug = "demo"
    tools = ["*"]
    rate_limits = [{ calls = 1, seconds = 3600 }]
  `,
  })
  const mallory = await lineOf(house, 'mallory')
  const retry = { requestState: 'made up' }

  const heard: string[] = []
  for (let i = 0; i < 65; i++) heard.push((await callTool(mallory, 'echo', { text: 'x' }, { retry })).text)
  const alice = await callTool(await lineOf(house, 'alice'), 'echo', { text: 'x' }, { retry })

  expect(heard.filter((text) => text.includes('tools/rate-limited')).length).toBeGreaterThanOrEqual(3)
  expect(alice.error?.message).toMatch(/not valid for this call/)
})

test('who names a user at a gateway without keys is not taken for that user', async () => {
  const house = await openHouse({
    toml: `${TWO_GATEWAYS}
    [[gateways]]
    slug = "open"
    auth = "none"
    tools = ["*"]
  `,
  })
  const mallory = { url: gatewayUrl(house, 'open'), headers: { 'gatehouse-user-id': 'alice' } }

  await callTool(mallory, 'echo', { text: 'x' })
  await callTool({ url: mallory.url }, 'echo', { text: 'x' })
  await callTool(await lineOf(house, 'alice'), 'echo', { text: 'x' })

  const { records } = await house.gatehouse.audit.search({})
  const callers = records.filter(({ what }) => what === 'tools/call').map(({ userId }) => userId)
  expect(callers).toEqual(['alice', 'anonymous', 'open:alice'])
})

test('users hear that a program of the house ended, not its command or its last words; admins hear all', async () => {
  const words = 'password is hunter2'
  const house = await openHouse({
    toml: `
    [[servers]]
    name = "broken"
    transport = "stdio"
    command = ["sh", "-c", "echo '${words}' >&2; exit 1"]
    [[servers]]
    name = "absent"
    transport = "stdio"
    command = ["/no/such/program"]
    [[gateways]]
    slug = "demo"
    tools = ["*"]
  `,
  })

  const { text } = await ask(await lineOf(house, 'alice'), 'tools/list')
  const shown = JSON.stringify(house.gatehouse.toolsAdmin.listServers().map(({ health }) => health.reason))

  expect(text).toMatch(/the process of server .{1,2}broken.{1,2} exited with code 1/)
  expect(text).not.toMatch(/hunter2|pid|\/no\/such|sh \(/)
  expect(shown).toMatch(/hunter2/)
  expect(shown).toMatch(/\/no\/such\/program/)
})
