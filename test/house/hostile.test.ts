import { readdir, readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { listen } from '../fakes/listen.ts'
import { startEchoUpstream, type EchoUpstream } from '../fakes/echo-upstream.ts'
import { readConfig } from '../../src/main/index.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { callTool, gatewayUrl, openSession, post, textOf, toolNames } from './talk.ts'

const CANARY = 'canary-5e2f1c0d'
const SYSTEM = { userId: 'test', keyId: null, face: 'cli' } as const

let echo: EchoUpstream
let house: TestHouse
const keys = { good: '', unbound: '', revoked: '', expired: '', other: '' }

beforeAll(async () => {
  echo = await startEchoUpstream()
  const clock = { shiftMs: 0, now: () => Date.now() + clock.shiftMs }
  house = await startHouse({
    clock,
    env: { UPSTREAM_SECRET: `Bearer ${CANARY}-upstream` },
    toml: `
      [limits]
      max_request_bytes = 65536
      max_request_depth = 32

      [[servers]]
      name = "echo"
      transport = "http"
      url = "${echo.url}"
      headers = { authorization = "\${env:UPSTREAM_SECRET}" }

      [[gateways]]
      slug = "demo"
      tools = ["echo/*"]

      [[gateways]]
      slug = "other"
      tools = ["echo/*"]
    `,
  })
  await house.listed()
  const make = (request: { userId: string | null; gateway: string; expiresAt?: number }) =>
    house.gatehouse.identity.createKey(
      { userId: request.userId, gateways: [request.gateway], role: 'user', expiresAt: request.expiresAt ?? null },
      SYSTEM,
    )
  keys.good = (await make({ userId: 'alice@example.com', gateway: 'demo' })).key
  keys.unbound = (await make({ userId: null, gateway: 'demo' })).key
  keys.other = (await make({ userId: 'alice@example.com', gateway: 'other' })).key
  keys.expired = (await make({ userId: 'alice@example.com', gateway: 'demo', expiresAt: Date.now() + 60_000 })).key
  const revoked = await make({ userId: 'alice@example.com', gateway: 'demo' })
  await house.gatehouse.identity.revokeKey(revoked.id, SYSTEM)
  keys.revoked = revoked.key
  clock.shiftMs = 120_000
})

afterAll(async () => {
  await house.close()
  await echo.close()
})

type Sent = {
  readonly method?: string
  readonly path?: string
  readonly headers?: Record<string, string>
  readonly body?: string | Uint8Array
}

/** Sends exactly this, also what `fetch` would not. */
function send(sent: Sent): Promise<{ status: number; text: string }> {
  const { port } = new URL(house.url)
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: '127.0.0.1', port, method: sent.method ?? 'POST', path: sent.path ?? '/mcp/demo', headers: sent.headers },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text: plain(Buffer.concat(chunks)) }))
      },
    )
    outgoing.on('error', reject)
    outgoing.end(sent.body)
  })
}

/** Without the backslashes that JSON puts before quotes. */
function plain(bytes: Buffer): string {
  return bytes.toString().replaceAll('\\"', '"')
}

const JSON_TYPE = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
const authorized = () => ({ ...JSON_TYPE, authorization: `Bearer ${keys.good}` })
const CALL = {
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: {
    name: 'echo',
    arguments: { text: CANARY },
    _meta: {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'x', version: '1' },
      'io.modelcontextprotocol/clientCapabilities': {},
    },
  },
}
const MODERN = { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'echo' }
const call = (over: object = {}) => JSON.stringify({ ...CALL, ...over })

type Case = { name: string; sent: () => Sent; status: number; says: RegExp }

const BODIES: readonly Case[] = [
  { name: 'no JSON', sent: () => ({ body: `{${CANARY}` }), status: 400, says: /not valid JSON/ },
  { name: 'nothing', sent: () => ({ body: '' }), status: 400, says: /not valid JSON/ },
  { name: 'no UTF-8', sent: () => ({ body: new Uint8Array([123, 255, 254, 125]) }), status: 400, says: /UTF-8/ },
  { name: 'a number', sent: () => ({ body: '7' }), status: 400, says: /must be a JSON object/ },
  {
    name: 'another JSON-RPC',
    sent: () => ({ body: call({ jsonrpc: '1.0' }) }),
    status: 400,
    says: /"jsonrpc" must be "2.0"/,
  },
  { name: 'an object as id', sent: () => ({ body: call({ id: {} }) }), status: 400, says: /"id" must be/ },
  {
    name: 'params that are a list',
    sent: () => ({ body: call({ params: [CANARY] }) }),
    status: 400,
    says: /"params" must be/,
  },
  { name: 'an empty batch', sent: () => ({ body: '[]' }), status: 400, says: /batch must hold/ },
  {
    name: 'a batch of a thousand',
    sent: () => ({ body: `[${Array.from({ length: 1_000 }, () => '{}').join()}]` }),
    status: 400,
    says: /batch must hold/,
  },
  {
    name: 'a result and an error',
    sent: () => ({ body: '{"jsonrpc":"2.0","id":1,"result":{},"error":{}}' }),
    status: 400,
    says: /exactly one/,
  },
  {
    name: 'deep nesting',
    sent: () => ({ body: `${'['.repeat(100)}${']'.repeat(100)}` }),
    status: 400,
    says: /nested deeper than 32/,
  },
  { name: 'a huge body', sent: () => ({ body: 'x'.repeat(70_000) }), status: 413, says: /larger than 65536 bytes/ },
  {
    name: 'a form',
    sent: () => ({ body: 'a=b', headers: { ...authorized(), 'content-type': 'application/x-www-form-urlencoded' } }),
    status: 415,
    says: /application\/json/,
  },
  {
    name: 'no session',
    sent: () => ({ body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' }),
    status: 400,
    says: /Mcp-Session-Id/,
  },
  {
    name: 'a session of nobody',
    sent: () => ({
      body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}',
      headers: { ...authorized(), 'mcp-session-id': CANARY },
    }),
    status: 404,
    says: /no such session/,
  },
  {
    name: 'an unknown version',
    sent: () => ({ body: call(), headers: { ...authorized(), ...MODERN, 'mcp-protocol-version': '2031-01-01' } }),
    status: 400,
    says: /MCP-Protocol-Version|protocol version/,
  },
  {
    name: 'a header that names another tool',
    sent: () => ({ body: call(), headers: { ...authorized(), ...MODERN, 'mcp-name': 'other' } }),
    status: 400,
    says: /Mcp-Name/,
  },
  {
    name: 'a header that names another method',
    sent: () => ({ body: call(), headers: { ...authorized(), ...MODERN, 'mcp-method': 'tools/list' } }),
    status: 400,
    says: /Mcp-Method/,
  },
  {
    name: 'no Mcp-Method',
    sent: () => ({ body: call(), headers: { ...authorized(), 'mcp-protocol-version': '2026-07-28' } }),
    status: 400,
    says: /Mcp-Method is missing/,
  },
  { name: 'PUT', sent: () => ({ method: 'PUT', body: call() }), status: 405, says: /Use POST/ },
]

const CALLERS: readonly Case[] = [
  { name: 'no key', sent: () => ({ headers: JSON_TYPE }), status: 401, says: /Authorization: Bearer/ },
  {
    name: 'a key of nobody',
    sent: () => keyed(`gh_${CANARY}`),
    status: 401,
    says: /not an API key|mistyped|not valid/,
  },
  {
    name: 'a key with one letter changed',
    sent: () => keyed(`${keys.good.slice(0, -1)}${keys.good.endsWith('0') ? '1' : '0'}`),
    status: 401,
    says: /mistyped/,
  },
  { name: 'a key of a megabyte', sent: () => keyed('x'.repeat(10_000)), status: 401, says: /too long/ },
  { name: 'a revoked key', sent: () => keyed(keys.revoked), status: 401, says: /was revoked/ },
  { name: 'an expired key', sent: () => keyed(keys.expired), status: 401, says: /expired at/ },
  {
    name: 'a key of another gateway',
    sent: () => keyed(keys.other),
    status: 403,
    says: /may not be used at the gateway "demo"/,
  },
  {
    name: 'an unknown gateway',
    sent: () => ({ ...keyed(keys.good), path: '/mcp/nowhere' }),
    status: 403,
    says: /may not be used at the gateway/,
  },
  {
    name: 'a gateway with a path in it',
    sent: () => ({ ...keyed(keys.good), path: '/mcp/..%2f..%2fetc' }),
    status: 403,
    says: /may not be used at the gateway/,
  },
  {
    name: 'a bound key for another user',
    sent: () => keyed(keys.good, { 'gatehouse-user-id': 'bob@example.com' }),
    status: 403,
    says: /belongs to one user/,
  },
  {
    name: 'a bound key for another user, in Arcade words',
    sent: () => keyed(keys.good, { 'arcade-user-id': 'bob@example.com' }),
    status: 403,
    says: /belongs to one user/,
  },
  { name: 'an unbound key for nobody', sent: () => keyed(keys.unbound), status: 401, says: /say for whom/ },
  {
    name: 'an unbound key for a user that is no name',
    sent: () => keyed(keys.unbound, { 'gatehouse-user-id': 'a b\tc' }),
    status: 400,
    says: /cannot name a user/,
  },
  { name: 'the admin token', sent: () => keyed(house.adminToken), status: 401, says: /not an API key/ },
  {
    name: 'a page of another site',
    sent: () => keyed(keys.good, { origin: 'https://evil.example' }),
    status: 403,
    says: /may not use this/,
  },
  {
    name: 'an origin that is no address',
    sent: () => keyed(keys.good, { origin: 'null' }),
    status: 403,
    says: /may not use this/,
  },
  {
    name: 'a name that was rebound to us',
    sent: () => keyed(keys.good, { host: 'evil.example:8600' }),
    status: 403,
    says: /Host "evil.example:8600"/,
  },
]

function keyed(key: string, more: Record<string, string> = {}): Sent {
  return { headers: { ...JSON_TYPE, authorization: `Bearer ${key}`, ...more } }
}

describe('bad input ends in a clear error, and nothing is executed', () => {
  test.for(BODIES)('a body that is $name', async ({ sent, status, says }) => {
    const calls = echo.calls

    const answer = await send({ headers: authorized(), ...sent() })

    expect(answer).toMatchObject({ status, text: expect.stringMatching(says) })
    expect(answer.text).not.toContain(CANARY)
    expect(echo.calls).toBe(calls)
  })

  test.for(CALLERS)('a caller with $name', async ({ sent, status, says }) => {
    const calls = echo.calls
    const { headers, ...rest } = sent()

    const answer = await send({ body: call(), ...rest, headers: { ...headers, ...MODERN } })

    expect(answer).toMatchObject({ status, text: expect.stringMatching(says) })
    expect(answer.text).not.toContain(CANARY)
    expect(echo.calls).toBe(calls)
  })

  test('the session of one key is nothing to another key, be it of the same user', async () => {
    const line = { url: gatewayUrl(house, 'demo'), key: keys.good }
    const session = await openSession(line)

    const stolen = await session.ask(
      'tools/list',
      {},
      { key: keys.unbound, headers: { 'gatehouse-user-id': 'alice@example.com' } },
    )
    const own = await session.ask('tools/list')

    expect(stolen.status).toBe(404)
    expect(own.status).toBe(200)
  })

  test('what the API refuses, it refuses with a problem that says why', async () => {
    const api = (path: string, body: unknown, token = house.adminToken) =>
      send({
        path: `/api/v1/${path}`,
        body: JSON.stringify(body),
        headers: { ...JSON_TYPE, authorization: `Bearer ${token}` },
      })

    const answers = [
      await api('servers', { name: 'x', transport: 'http', url: 'ftp://example.com' }),
      await api('servers', { name: 'x', transport: 'http', url: 'http://example.com', colour: CANARY }),
      await api('servers', { name: '../x', transport: 'builtin' }),
      await api('keys', { gateways: [] }),
      await api('servers', {}, keys.good),
      await api('servers', {}, CANARY),
    ]

    expect(answers.map(({ status }) => status)).toEqual([400, 400, 400, 400, 403, 401])
    expect(answers.filter(({ text }) => text.includes(CANARY))).toEqual([])
  })
})

test('a config with auth = "none" and a listener that others reach is refused', () => {
  const text = `[server]\nlisten = "0.0.0.0:0"\n[[gateways]]\nslug = "open"\nauth = "none"\ntools = ["*"]\n`

  expect(() => readConfig({ text, dataDir: '/nowhere', env: {} })).toThrow(/auth = "none".*0\.0\.0\.0/)
})

test('a gateway with auth = "none" cannot be added to a house that others reach', async () => {
  await using open = await startHouse({ toml: `[server]\nlisten = "0.0.0.0:0"\npublic_url = "http://127.0.0.1"\n` })

  const adding = open.gatehouse.toolsAdmin.addGateway({ ...SYSTEM }, { slug: 'open', auth: 'none', tools: ['*'] })

  await expect(adding).rejects.toThrow(/auth = "none"/)
})

describe('a server added by the API', () => {
  /** Counts connections at 127.0.0.2, which nothing here may make. */
  async function startTarget() {
    let connections = 0
    const server = createServer((socket) => {
      connections += 1
      socket.destroy()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.2', resolve))
    onTestFinished(() => void server.close())
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    return { port, connections: () => connections }
  }

  async function add(server: object) {
    const added = await send({
      path: '/api/v1/servers',
      body: JSON.stringify(server),
      headers: { ...JSON_TYPE, authorization: `Bearer ${house.adminToken}` },
    })
    onTestFinished(async () => {
      await house.gatehouse.toolsAdmin.removeServer(SYSTEM, 'guarded').catch(() => undefined)
    })
    return added
  }

  test.for([
    { name: 'an address', host: '127.0.0.2' },
    { name: 'an address as one number', host: '2130706434' },
    { name: 'an address in hex', host: '0x7f.0.0.2' },
    { name: 'an address mapped to IPv6', host: '[::ffff:127.0.0.2]' },
    { name: 'an address embedded in IPv6', host: '[64:ff9b::7f00:2]' },
    { name: 'a short address', host: '127.2' },
  ])('never reaches a private target named by $name, also not for a health check', async ({ host }) => {
    const target = await startTarget()

    const http = await add({ name: 'guarded', transport: 'http', url: `http://${host}:${target.port}/mcp` })
    await house.gatehouse.toolsAdmin.checkServer('guarded')
    await house.gatehouse.toolsAdmin.removeServer(SYSTEM, 'guarded')
    const worker = await add({
      name: 'guarded',
      transport: 'worker',
      url: `http://${host}:${target.port}`,
      secret: CANARY,
    })
    const checked = await house.gatehouse.toolsAdmin.checkServer('guarded')

    expect(http.text).toMatch(/unreachable/)
    expect(worker.text).toMatch(/unreachable/)
    expect(checked.health.reason).toMatch(/private|loopback|not.*public|may not be/i)
    expect(target.connections()).toBe(0)
  })

  test('never reaches the metadata service, the house itself by name, or what a server redirects to', async () => {
    const target = await startTarget()
    await using redirecting = await listen((_req, res) => {
      res.writeHead(307, { location: `http://127.0.0.2:${target.port}/mcp` }).end()
    })
    const metadata = await add({ name: 'guarded', transport: 'http', url: 'http://169.254.169.254/latest/meta-data' })
    await house.gatehouse.toolsAdmin.removeServer(SYSTEM, 'guarded')
    const byName = await add({
      name: 'guarded',
      transport: 'http',
      url: `http://localhost:${new URL(house.url).port}/livez`,
    })
    await house.gatehouse.toolsAdmin.removeServer(SYSTEM, 'guarded')
    await add({ name: 'guarded', transport: 'http', url: redirecting.url, allow_addresses: ['127.0.0.1/32'] })
    const redirected = await house.gatehouse.toolsAdmin.checkServer('guarded')

    expect(metadata.text).toMatch(/unreachable/)
    expect(byName.text).toMatch(/unreachable/)
    expect(redirected.health.state).not.toBe('healthy')
    expect(target.connections()).toBe(0)
  })

  test('reaches a private address that is named as an exception', async () => {
    const added = await add({ name: 'guarded', transport: 'http', url: echo.url, allow_addresses: ['127.0.0.1/32'] })

    expect(JSON.parse(added.text)).toMatchObject({ name: 'guarded', health: { state: 'healthy', tools: 1 } })
  })
})

test('no secret is in the logs, the audit trail, the metrics or anything in the data directory', async () => {
  const line = { url: gatewayUrl(house, 'demo'), key: keys.good, headers: { 'idempotency-key': 'k1', cookie: CANARY } }
  const heard = await callTool(line, 'echo', { text: `${CANARY}-argument` })
  await callTool(line, 'echo', { text: `${CANARY}-argument` })
  await callTool(line, 'nothing', { text: `${CANARY}-argument` })
  await post({ ...line, key: `gh_${CANARY}` }, { body: call() })
  await house.gatehouse.toolsAdmin.addServer(SYSTEM, {
    name: 'sealed',
    transport: 'worker',
    url: 'http://192.0.2.1:9',
    secret: `${CANARY}-secret`,
    secrets: { token: `${CANARY}-token` },
    allow_addresses: [],
  })
  await toolNames({ ...line, headers: {} })

  const written = await everythingWritten(house)
  const secrets = [CANARY, keys.good, keys.unbound, Buffer.from(CANARY).toString('base64').slice(0, 12)]

  expect(textOf(heard)).toBe(`${CANARY}-argument`)
  expect(written.filter(({ text }) => secrets.some((secret) => text.includes(secret))).map(({ name }) => name)).toEqual(
    [],
  )
  expect(written.length).toBeGreaterThan(5)
})

/** The data directory file by file, what was logged, and every page that the house shows about itself. */
async function everythingWritten(of: TestHouse): Promise<{ name: string; text: string }[]> {
  const names = await readdir(of.dataDir, { recursive: true, withFileTypes: true })
  const files = await Promise.all(
    names
      .filter((entry) => entry.isFile())
      .map(async ({ parentPath, name }) => ({ name, text: await readFile(join(parentPath, name), 'latin1') })),
  )
  const admin = { authorization: `Bearer ${of.adminToken}` }
  const paths = [
    '/metrics',
    '/health',
    '/readyz',
    '/api/v1/servers',
    '/api/v1/gateways',
    '/api/v1/keys',
    '/api/v1/audit?limit=1000',
  ]
  const pages = await Promise.all(
    paths.map(async (path) => ({ name: path, text: (await send({ method: 'GET', path, headers: admin })).text })),
  )
  return [...files, ...pages, { name: 'logs', text: of.logs.join('\n') }]
}
