import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startConformanceServer, type ConformanceServer } from '../fixtures/conformance-server.ts'
import { startHouse, type TestHouse } from './start-house.ts'

const SECRET = 'a-secret-that-must-stay-inside'

let house: TestHouse
let upstream: ConformanceServer

beforeAll(async () => {
  upstream = await startConformanceServer()
  house = await startHouse({
    toml: `
[[servers]]
name = "reference"
transport = "builtin"

[[servers]]
name = "fixture"
transport = "http"
url = "${upstream.url}"
headers = { "x-secret" = "${SECRET}" }

[[servers]]
name = "gone"
transport = "http"
url = "http://127.0.0.1:9/mcp"

[[gateways]]
slug = "demo"
tools = ["reference/*", "fixture/test_*", "gone/*"]

[[gateways]]
slug = "other"
tools = ["reference/echo"]
`,
  })
  await house.listed()
})

afterAll(async () => {
  await house.close()
  await upstream.close()
})

type Asked = { token?: string; body?: unknown; headers?: Record<string, string>; method?: string }

async function ask(path: string, { token, body, headers = {}, method }: Asked = {}) {
  const response = await fetch(`${house.url}${path}`, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.includes('json') === true
  return { status: response.status, text, body: isJson && text !== '' ? JSON.parse(text) : undefined }
}

describe('who may', () => {
  test.each([
    ['nothing', undefined, 401, 'No API key was sent'],
    ['a made-up key', 'gh_aaaaaaaa_bbbb', 401, 'gatehouse key create|mistyped|not an API key'],
    ['a word', 'letmein', 401, 'not an API key'],
  ])('%s does not open the admin API', async (_, token, status, says) => {
    const answer = await ask('/api/v1/servers', token === undefined ? {} : { token })

    expect(answer.status).toBe(status)
    expect(answer.body.detail).toMatch(new RegExp(says))
  })

  test('a key of a user does not open the admin API, one with the role does', async () => {
    const user = await house.createKey({ user: 'alice', gateway: 'demo' })
    const root = { userId: 'root@example.com', role: 'admin' }
    await ask('/api/v1/accounts', { token: house.adminToken, body: root })
    const made = await ask('/api/v1/keys', {
      token: house.adminToken,
      body: { userId: 'root@example.com', gateways: ['*'], role: 'admin' },
    })

    const refused = await ask('/api/v1/keys', { token: user })
    const allowed = await ask('/api/v1/keys', { token: made.body.key })

    expect(made.status).toBe(201)
    expect(refused).toMatchObject({ status: 403, body: { type: 'urn:problem:identity/forbidden' } })
    expect(allowed.status).toBe(200)
    expect(allowed.text).not.toContain(made.body.key)
  })

  test('a revoked admin key opens nothing any more', async () => {
    const made = await ask('/api/v1/keys', { token: house.adminToken, body: { gateways: ['*'], role: 'admin' } })

    const revoked = await ask(`/api/v1/keys/${made.body.id}`, { token: house.adminToken, method: 'DELETE' })
    const tried = await ask('/api/v1/servers', { token: made.body.key })

    expect(revoked.status).toBe(200)
    expect(tried).toMatchObject({ status: 401, body: { type: 'urn:problem:identity/key-revoked' } })
  })

  test.each([
    ['a page of another origin', { origin: 'https://evil.example' }],
    ['a page of another port', { origin: 'http://localhost:3000' }],
  ])('%s gets nothing, even with the token', async (_, headers) => {
    const answer = await ask('/api/v1/keys', { token: house.adminToken, headers })

    expect(answer).toMatchObject({ status: 403, body: { type: 'urn:problem:http/forbidden-origin' } })
  })
})

describe('tools over REST', () => {
  test('a key sees the tools of its gateway and where they come from, and what is missing', async () => {
    const token = await house.createKey({ user: 'alice', gateway: 'demo' })

    const { body } = await ask('/api/v1/gateways/demo/tools', { token })

    expect(body.user).toBe('alice')
    expect(body.tools).toContainEqual(expect.objectContaining({ name: 'echo', server: 'reference', original: 'echo' }))
    expect(body.missing).toMatchObject([{ server: 'gone', state: 'unreachable' }])
  })

  test('a key calls a tool, as its user only', async () => {
    const token = await house.createKey({ user: 'alice', gateway: 'demo' })
    const call = { tool: 'echo', arguments: { text: 'hi' } }

    const own = await ask('/api/v1/gateways/demo/call', { token, body: call })
    const foreign = await ask('/api/v1/gateways/demo/call', { token, body: { ...call, user: 'bob' } })
    const elsewhere = await ask('/api/v1/gateways/other/call', { token, body: call })

    expect(own).toMatchObject({ status: 200, body: { status: 'complete', isError: false, content: [{ text: 'hi' }] } })
    expect(foreign.status).toBe(403)
    expect(elsewhere.status).toBe(403)
  })

  test('a key bound to nobody names the user in a header', async () => {
    const token = await house.createKey({ gateway: 'demo' })
    const body = { tool: 'whoami' }

    const named = await ask('/api/v1/gateways/demo/call', { token, body, headers: { 'arcade-user-id': 'carol' } })
    const unnamed = await ask('/api/v1/gateways/demo/call', { token, body })

    expect(named.body.content[0].text).toContain('carol')
    expect(unnamed).toMatchObject({ status: 401, body: { type: 'urn:problem:identity/user-needed' } })
  })

  test('a call that needs input goes on with the answer, and only for the same user', async () => {
    const call = { tool: 'test_input_required_result_elicitation', user: 'alice' }
    const asked = await ask('/api/v1/gateways/demo/call', { token: house.adminToken, body: call })
    const { requestState, requests } = asked.body
    const [id] = Object.keys(requests)
    const inputResponses = { [`${id}`]: { action: 'accept', content: { name: 'Ada' } } }

    const stolen = await ask('/api/v1/gateways/demo/call', {
      token: house.adminToken,
      body: { ...call, user: 'mallory', requestState, inputResponses },
    })
    const done = await ask('/api/v1/gateways/demo/call', {
      token: house.adminToken,
      body: { ...call, requestState, inputResponses },
    })

    expect(asked.body.status).toBe('input_required')
    expect(stolen.text).not.toContain('Ada')
    expect(done.body).toMatchObject({ status: 'complete', isError: false })
    expect(done.text).toContain('Ada')
  })

  test('the same idempotency key never calls twice', async () => {
    const body = { tool: 'test_simple_text', user: 'alice', idempotencyKey: 'once' }
    const before = upstream.calls.entries.length

    const first = await ask('/api/v1/gateways/demo/call', { token: house.adminToken, body })
    const second = await ask('/api/v1/gateways/demo/call', { token: house.adminToken, body })

    expect(second.body.content).toEqual(first.body.content)
    expect(upstream.calls.entries.length - before).toBe(1)
  })

  test.each<[what: string, slug: string, body: object, answer: [status: number, says: string]]>([
    ['an unknown tool', 'demo', { tool: 'nothing' }, [400, 'Unknown tool: \\"nothing\\"']],
    ['an unknown gateway', 'nowhere', { tool: 'echo' }, [404, 'There is no gateway']],
    ['no tool', 'demo', {}, [400, 'tool: expected string']],
    ['arguments in a list', 'demo', { tool: 'echo', arguments: [] }, [400, 'arguments: expected']],
    ['an unknown member', 'demo', { tool: 'echo', args: {} }, [400, 'args: is not known']],
  ])('%s is refused', async (_, slug, body, [status, says]) => {
    const answer = await ask(`/api/v1/gateways/${slug}/call`, { token: house.adminToken, body })

    expect(answer.status).toBe(status)
    expect(answer.text).toContain(says)
  })

  test('every call is in the audit with its user, key and face', async () => {
    const token = await house.createKey({ user: 'dora', gateway: 'demo' })
    await ask('/api/v1/gateways/demo/call', { token, body: { tool: 'echo', arguments: { text: 'x' } } })
    await ask('/api/v1/gateways/demo/call', { token, body: { tool: 'nothing' } })

    const { body } = await ask('/api/v1/audit?user=dora&limit=10', { token: house.adminToken })

    expect(body.records).toMatchObject([
      { decision: 'denied', toolName: 'nothing', face: 'rest' },
      { decision: 'allowed', tool: 'echo', server: 'reference', face: 'rest', keyId: expect.stringMatching(/^key_/) },
    ])
  })
})

describe('what it says about itself', () => {
  test.each(['/livez', '/readyz', '/health', '/metrics', '/openapi.json', '/'])(
    '%s answers anybody here',
    async (path) => {
      const answer = await ask(path)

      expect(answer.status).toBe(200)
      expect(answer.text).not.toContain(SECRET)
    },
  )

  test('health names each server with its reason', async () => {
    const { body } = await ask('/health')

    expect(body.status).toBe('degraded')
    expect(body.servers).toContainEqual(
      expect.objectContaining({ name: 'gone', state: 'unreachable', reason: expect.stringMatching(/./) }),
    )
    expect(body.gateways.map(({ slug }: { slug: string }) => slug)).toEqual(['demo', 'other'])
  })

  test('callers from elsewhere see only the short form, and no metrics', async () => {
    const headers = { 'gatehouse-peer-address': '203.0.113.7' }
    const elsewhere = (path: string) => house.gatehouse.fetch(new Request(`http://x${path}`, { headers }))

    const health = await (await elsewhere('/health')).json()
    const metrics = await elsewhere('/metrics')

    expect(health).toEqual({ status: 'degraded', version: expect.any(String) })
    expect(metrics.status).toBe(401)
  })

  test('nobody can lend himself the address of this machine', async () => {
    const headers = { 'gatehouse-peer-address': '203.0.113.7' }

    const answer = await ask('/health', { headers })

    expect(answer.body.servers).toBeDefined()
  })

  test('secrets of servers are nowhere in the API', async () => {
    const answers = await Promise.all(
      ['servers', 'gateways', 'gateways/demo', 'changes', 'audit', 'keys'].map((path) =>
        ask(`/api/v1/${path}`, { token: house.adminToken }),
      ),
    )

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200])
    expect(answers.map(({ text }) => text).join('')).not.toContain(SECRET)
  })

  test('a house whose storage is gone is not ready, and says why', async () => {
    const closing = await startHouse({ toml: '' })
    await closing.gatehouse.storage.close()

    const answer = await closing.gatehouse.fetch(new Request('http://x/readyz'))
    // It cannot sign off in a storage that is gone.
    await closing.close().catch(() => undefined)

    expect(answer.status).toBe(503)
    expect(await answer.json()).toMatchObject({ type: 'urn:problem:http/not-ready', reasons: [expect.any(String)] })
  })
})
