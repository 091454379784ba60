import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { serveFace, type Served } from './testing.ts'
import { beginSession, legacy, modern, send, type RawRequest } from './testing-http.ts'

let served: Served
beforeAll(async () => {
  served = await serveFace({ limits: { bodyBytes: 10_000, batchMessages: 3 } })
})
afterAll(async () => await served[Symbol.asyncDispose]())

const KEY = { authorization: 'Bearer key-a' }
const list = modern('tools/list')
const echo = modern('tools/call', { name: 'echo', arguments: {} })
const deep = `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":${'['.repeat(5_000)}`
const without = (request: { headers: Record<string, string>; body: string }, header: string) => ({
  body: request.body,
  headers: { ...request.headers, [header]: '' },
})
const changed = (request: { headers: Record<string, string>; body: string }, headers: Record<string, string>) => ({
  body: request.body,
  headers: { ...request.headers, ...headers },
})
const region = (args: object, headers: Record<string, string>) =>
  changed(modern('tools/call', { name: 'region', arguments: args }), headers)

type Case = {
  what: string
  gateway?: string
  request: Omit<RawRequest, 'url'>
  status: number
  code: number | null
  says?: string
  hides?: string
}

const cases: Case[] = [
  { what: 'a body that is not JSON', request: { body: '{"hunter2' }, status: 400, code: -32700, hides: 'hunter2' },
  { what: 'an empty body', request: { body: '' }, status: 400, code: -32700 },
  {
    what: 'a body that is not UTF-8',
    request: { body: Buffer.from([0x22, 0xff, 0x22]) },
    status: 400,
    code: -32700,
    says: 'UTF-8',
  },
  {
    what: 'a body that is too large',
    request: { body: `"${'x'.repeat(20_000)}"` },
    status: 413,
    code: -32600,
    says: '10000 bytes',
  },
  { what: 'a body nested too deep', request: { body: deep }, status: 400, code: -32600, says: '64 levels' },
  {
    what: 'another content type',
    request: { headers: { 'content-type': 'text/plain' }, body: '{}' },
    status: 415,
    code: -32000,
    says: 'application/json',
  },
  { what: 'no content type', request: { headers: { 'content-type': '' }, body: '{}' }, status: 415, code: -32000 },
  {
    what: 'another charset',
    request: { headers: { 'content-type': 'application/json; charset=utf-16' }, body: '{}' },
    status: 415,
    code: -32000,
  },
  { what: 'a message that is a string', request: { body: '"x"' }, status: 400, code: -32600 },
  {
    what: 'another JSON-RPC version',
    request: { body: '{"jsonrpc":"1.0","id":1,"method":"ping"}' },
    status: 400,
    code: -32600,
    says: '"2.0"',
  },
  {
    what: 'an id that is null',
    request: { body: '{"jsonrpc":"2.0","id":null,"method":"ping"}' },
    status: 400,
    code: -32600,
    says: '"id"',
  },
  {
    what: 'an id that is an object',
    request: { body: '{"jsonrpc":"2.0","id":{},"method":"ping"}' },
    status: 400,
    code: -32600,
  },
  {
    what: 'params that are a list',
    request: { body: '{"jsonrpc":"2.0","id":7,"method":"ping","params":[]}' },
    status: 400,
    code: -32600,
    says: '"id":7',
  },
  { what: 'neither method nor result', request: { body: '{"jsonrpc":"2.0","id":1}' }, status: 400, code: -32600 },
  {
    what: 'both result and error',
    request: { body: '{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"x"}}' },
    status: 400,
    code: -32600,
  },
  { what: 'an empty batch', request: { body: '[]' }, status: 400, code: -32600 },
  {
    what: 'a batch that is too long',
    request: { body: `[${Array(4).fill(legacy('ping')).join(',')}]` },
    status: 400,
    code: -32600,
    says: '1–3',
  },
  {
    what: 'a modern batch',
    request: { headers: list.headers, body: `[${list.body}]` },
    status: 400,
    code: -32000,
    says: 'Mcp-Session-Id',
  },
  { what: 'an unknown gateway', gateway: 'nowhere', request: list, status: 404, code: -32000, says: 'nowhere' },
  {
    what: 'no key',
    request: changed(list, { authorization: '' }),
    status: 401,
    code: -32000,
    says: 'Authorization: Bearer',
  },
  {
    what: 'a wrong key',
    request: changed(list, { authorization: 'Bearer hunter2' }),
    status: 401,
    code: -32000,
    hides: 'hunter2',
  },
  {
    what: 'a hostile Origin',
    request: changed(list, { origin: 'http://evil.example' }),
    status: 403,
    code: -32000,
    says: 'evil.example',
  },
  { what: 'the Origin null', request: changed(list, { origin: 'null' }), status: 403, code: -32000 },
  {
    what: 'an Origin that only begins like ours',
    request: changed(list, { origin: 'http://localhost.evil.example' }),
    status: 403,
    code: -32000,
  },
  {
    what: 'a hostile Host',
    request: changed(list, { host: 'evil.example' }),
    status: 403,
    code: -32000,
    says: 'evil.example',
  },
  {
    what: 'a Host that only begins like ours',
    request: changed(list, { host: '127.0.0.1.evil.example' }),
    status: 403,
    code: -32000,
  },
  {
    what: 'no version header',
    request: without(list, 'mcp-protocol-version'),
    status: 400,
    code: -32020,
    says: 'MCP-Protocol-Version',
  },
  {
    what: 'another version in the header',
    request: changed(list, { 'mcp-protocol-version': '2025-11-25' }),
    status: 400,
    code: -32020,
  },
  { what: 'no method header', request: without(list, 'mcp-method'), status: 400, code: -32020, says: 'Mcp-Method' },
  {
    what: 'another method in the header',
    request: changed(list, { 'mcp-method': 'tools/call' }),
    status: 400,
    code: -32020,
  },
  { what: 'no name header', request: without(echo, 'mcp-name'), status: 400, code: -32020, says: 'Mcp-Name' },
  { what: 'another name in the header', request: changed(echo, { 'mcp-name': 'slow' }), status: 400, code: -32020 },
  {
    what: 'a name in broken base64',
    request: changed(echo, { 'mcp-name': '=?base64?ZWNobw?=' }),
    status: 400,
    code: -32020,
    says: 'base64',
  },
  {
    what: 'a modern version without the envelope',
    request: { headers: { 'mcp-protocol-version': '2026-07-28' }, body: legacy('tools/list') },
    status: 400,
    code: -32602,
    says: '_meta',
  },
  {
    what: 'an unknown version on both sides',
    request: { headers: { 'mcp-protocol-version': '2099-01-01' }, body: list.body.replace('2026-07-28', '2099-01-01') },
    status: 400,
    code: -32022,
    says: '"supported":["2026-07-28"]',
  },
  {
    what: 'an unknown modern method',
    request: modern('tools/explode'),
    status: 404,
    code: -32601,
    says: 'tools/explode',
  },
  { what: 'a method that only sessions have', request: modern('ping'), status: 404, code: -32601 },
  { what: 'initialize with an envelope', request: modern('initialize'), status: 404, code: -32601 },
  {
    what: 'tasks without the extension',
    request: changed(modern('tasks/get', { taskId: 't' }), { 'mcp-name': 't' }),
    status: 400,
    code: -32021,
    says: '"extensions":{"io.modelcontextprotocol/tasks":{}}',
  },
  {
    what: 'a question that the client cannot answer',
    request: modern('tools/call', { name: 'ask' }),
    status: 400,
    code: -32021,
    says: '"requiredCapabilities":{"elicitation":{"form":{}}}',
  },
  {
    what: 'a mirrored argument without its header',
    request: region({ region: 'us' }, {}),
    status: 400,
    code: -32020,
    says: 'Mcp-Param-Region',
  },
  {
    what: 'a mirrored argument that differs',
    request: region({ region: 'us' }, { 'mcp-param-region': 'eu' }),
    status: 400,
    code: -32020,
  },
  {
    what: 'a mirrored header sent twice',
    request: {
      ...region({ region: 'us' }, {}),
      headers: { ...region({}, {}).headers, 'mcp-param-region': ['us', 'us'] },
    },
    status: 400,
    code: -32020,
  },
  {
    what: 'a header without its argument',
    request: region({}, { 'mcp-param-region': 'us' }),
    status: 400,
    code: -32020,
  },
  {
    what: 'a cursor from elsewhere',
    request: modern('tools/list', { cursor: 'hunter2' }),
    status: 400,
    code: -32602,
    hides: 'hunter2',
  },
  {
    what: 'an unreadable retry',
    request: modern('tools/call', { name: 'echo', inputResponses: 'x' }),
    status: 400,
    code: -32602,
    says: 'inputResponses',
  },
  {
    what: 'a bad idempotency key',
    request: changed(echo, { 'idempotency-key': 'two words' }),
    status: 400,
    code: -32602,
    says: 'Idempotency-Key',
  },
  {
    what: 'an Accept that fits nothing',
    request: changed(echo, { accept: 'text/html' }),
    status: 406,
    code: -32000,
    says: 'Accept',
  },
  {
    what: 'a tool that fails inside',
    request: modern('tools/call', { name: 'broken' }),
    status: 500,
    code: -32603,
    hides: 'hunter2',
  },
  {
    what: 'an unknown session',
    request: { headers: { 'mcp-session-id': 'nobody' }, body: legacy('ping') },
    status: 404,
    code: -32001,
    says: 'initialize',
  },
  { what: 'no session', request: { body: legacy('ping') }, status: 400, code: -32000, says: 'Mcp-Session-Id' },
  { what: 'GET without a session', request: { method: 'GET' }, status: 405, code: -32000, says: 'POST' },
  { what: 'DELETE without a session', request: { method: 'DELETE' }, status: 405, code: -32000 },
  { what: 'PUT', request: { method: 'PUT', headers: { 'mcp-session-id': 'x' } }, status: 405, code: -32000 },
  {
    what: 'an initialize without clientInfo',
    request: { body: legacy('initialize', { protocolVersion: '2025-11-25', capabilities: {} }) },
    status: 400,
    code: -32602,
    says: 'clientInfo',
  },
]

describe('bad input', () => {
  it.each(cases)('$what is refused with $status $code', async ({ gateway, request, status, code, says, hides }) => {
    const headers = { ...KEY, ...request.headers }

    const reply = await send({ ...request, url: `${served.url}/${gateway ?? 'demo'}`, headers })

    const parsed: { error?: { code?: number } } = JSON.parse(reply.text)
    expect({ status: reply.status, code: parsed.error?.code }).toEqual({ status, code })
    expect(reply.text).toContain(says ?? '')
    expect(reply.text).not.toContain(hides ?? '\0')
    expect(reply.text).not.toMatch(/node_modules|\.ts:\d/)
  })

  it('names the header that a 401 wants', async () => {
    const reply = await send({ url: `${served.url}/demo`, ...list })

    expect(reply.headers['www-authenticate']).toBe('Bearer realm="gatehouse"')
  })

  it('leaves nothing behind', () => {
    expect(served.face.sessions()).toEqual({ count: 0, streams: 0, calls: 0, listens: 0, keptBytes: 0 })
  })
})

describe('good input at the edge', () => {
  it.each([
    ['our own Origin', () => changed(list, { origin: `http://127.0.0.1:${served.port}` })],
    ['a loopback Origin', () => changed(list, { origin: 'http://localhost:6274' })],
    ['a loopback Host', () => changed(list, { host: 'localhost:1' })],
    ['a name in base64', () => changed(echo, { 'mcp-name': '=?base64?ZWNobw==?=' })],
    ['a charset of UTF-8', () => changed(list, { 'content-type': 'application/json; charset="UTF-8"' })],
    ['no Accept at all', () => changed(list, { accept: '' })],
    [
      'mirrored arguments',
      () => region({ region: 'ü', size: 42 }, { 'mcp-param-region': '=?base64?w7w=?=', 'mcp-param-size': '42.0' }),
    ],
    ['an unknown mirrored header', () => changed(echo, { 'mcp-param-other': 'x' })],
  ])('%s is accepted', async (_what, request) => {
    const { headers, body } = request()

    const reply = await send({ url: `${served.url}/demo`, body, headers: { ...KEY, ...headers } })

    expect(reply.status).toBe(200)
    expect(reply.text).toContain('"resultType":"complete"')
  })
})

describe('a session', () => {
  it('is not found by anybody else', async () => {
    const url = `${served.url}/demo`
    const mine = await beginSession(url, { headers: KEY })

    const stolen = await send({ url, headers: { ...mine, authorization: 'Bearer key-b' }, body: legacy('ping') })
    const elsewhere = await send({ url: `${served.url}/open`, headers: mine, body: legacy('ping') })
    const deleted = await send({ url, method: 'DELETE', headers: { ...mine, authorization: 'Bearer key-b' } })
    const own = await send({ url, headers: mine, body: legacy('ping') })

    expect([stolen.status, elsewhere.status, deleted.status, own.status]).toEqual([404, 404, 404, 200])
    await send({ url, method: 'DELETE', headers: mine })
  })

  it('takes responses to questions never asked without a word', async () => {
    const url = `${served.url}/open`
    const headers = await beginSession(url)

    const reply = await send({ url, headers, body: '{"jsonrpc":"2.0","id":99,"result":{}}' })

    expect(reply.status).toBe(202)
    await send({ url, method: 'DELETE', headers })
  })

  it('refuses a version that is not spoken, and a batch of a newer version', async () => {
    const url = `${served.url}/open`
    const headers = await beginSession(url)

    const wrong = await send({
      url,
      headers: { ...headers, 'mcp-protocol-version': '1999-01-01' },
      body: legacy('ping'),
    })
    const batch = await send({ url, headers, body: `[${legacy('ping')}]` })

    expect([wrong.status, batch.status]).toEqual([400, 400])
    expect(wrong.text).toContain('2025-11-25')
    await send({ url, method: 'DELETE', headers })
  })

  it('answers a batch of 2025-03-26 as one', async () => {
    const url = `${served.url}/open`
    const headers = await beginSession(url, { version: '2025-03-26' })

    const reply = await send({ url, headers, body: `[${legacy('ping', {}, 'a')},${legacy('nonsense', {}, 'b')}]` })

    expect(JSON.parse(reply.text)).toMatchObject([
      { id: 'a', result: {} },
      { id: 'b', error: { code: -32601 } },
    ])
    await send({ url, method: 'DELETE', headers })
  })

  it('refuses a second request with an id that is still running', async () => {
    const url = `${served.url}/open`
    const headers = await beginSession(url)
    const slow = send({ url, headers, body: legacy('tools/call', { name: 'slow' }, 'same') })
    await expect.poll(() => served.face.sessions().calls).toBe(1)

    const second = await send({ url, headers, body: legacy('ping', {}, 'same') })
    await send({ url, headers, body: legacy('notifications/cancelled', { requestId: 'same' }).replace('"id":1,', '') })

    expect(second.text).toContain('-32600')
    expect((await slow).text).toContain('cancelled')
    await send({ url, method: 'DELETE', headers })
  })
})
