import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { jwtVerify } from 'jose'
import { afterEach, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { isJsonObject, type JsonObject } from '#kernel'
import { createEgress } from '#http'
import type { Log } from '#telemetry'
import { serverConfig } from '../../config.ts'
import type { Reply, SourceCall } from '../../source.ts'
import { createWorkerSource } from './source.ts'

const SECRET = 'worker-secret'
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

/** What a Python worker accepts; strict, so that a member it does not know is noticed. */
const invocation = z.strictObject({
  run_id: z.uuid(),
  execution_id: z.uuid(),
  created_at: z.iso.datetime(),
  tool: z.strictObject({ name: z.string(), toolkit: z.string(), version: z.string().nullable() }),
  inputs: z.record(z.string(), z.json()),
  context: z.strictObject({
    user_id: z.string(),
    secrets: z.array(z.strictObject({ key: z.string(), value: z.string() })).optional(),
    metadata: z.array(z.strictObject({ key: z.string(), value: z.string() })).optional(),
  }),
})
type Invocation = z.output<typeof invocation>
type Answer = (request: Invocation, response: ServerResponse) => JsonObject | void

type WorkerParts = { tools?: readonly object[]; answer?: Answer; secret?: string; health?: JsonObject }

/** A small strict worker: verifies the token as PyJWT would and every member of a request. */
async function startWorker({ tools = [tool({})], answer, secret = SECRET, health }: WorkerParts) {
  const invocations: Invocation[] = []
  const headers: IncomingMessage['headers'][] = []
  const server = createServer((request, response) => {
    void handle(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)))
  })
  async function handle(request: IncomingMessage, response: ServerResponse) {
    const body = await textOf(request)
    const reply = (value: unknown) => response.setHeader('content-type', 'application/json').end(JSON.stringify(value))
    if (request.url === '/worker/health') {
      expect(request.headers.authorization).toBeUndefined()
      return reply(health ?? { status: 'ok', tool_count: String(tools.length) })
    }
    if (!(await isAuthorized(request, secret)))
      return response.writeHead(401).end('{"detail":"Invalid token. Error: x"}')
    headers.push(request.headers)
    if (request.url === '/worker/tools') return reply(tools)
    const asked = invocation.parse(JSON.parse(body))
    invocations.push(asked)
    const answered = answer?.(asked, response)
    return answered && reply({ execution_id: asked.execution_id, finished_at: 'x', duration: 1, ...answered })
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => {
    server.closeAllConnections()
    server.close()
  })
  // `listen` on TCP always has an AddressInfo.
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, invocations, headers }
}

async function isAuthorized(request: IncomingMessage, secret: string): Promise<boolean> {
  const token = (request.headers.authorization ?? '').replace('Bearer ', '')
  const { payload } = await jwtVerify(token, Buffer.from(secret), { algorithms: ['HS256'], audience: 'worker' }).catch(
    () => ({ payload: {} as Record<string, unknown> }),
  )
  return payload.ver === '1' && Number(payload.iat) <= Date.now() / 1000 && Number(payload.exp) * 1000 > Date.now()
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString()
}

function tool(more: object): object {
  return {
    name: 'ListMail',
    fully_qualified_name: 'Demo.ListMail',
    description: 'List mail.',
    toolkit: { name: 'Demo', description: null, version: '1.2.0' },
    input: { parameters: [{ name: 'n', required: false, value_schema: { val_type: 'integer', enum: null } }] },
    output: { description: 'mail', available_modes: ['value', 'error'], value_schema: { val_type: 'json' } },
    requirements: { authorization: null, secrets: null, metadata: null },
    deprecation_message: null,
    metadata: null,
    ...more,
  }
}

function sourceFor(url: string, more: Record<string, unknown> = {}, trusted = true) {
  const lines: { level: string; fields: object }[] = []
  const changed = { times: 0 }
  const config = serverConfig.parse({ transport: 'worker', name: 'ref', url, secret: SECRET, ...more })
  if (config.transport !== 'worker') throw new Error('not a worker')
  const source = createWorkerSource(
    { config, trusted },
    {
      clock: { now: () => Date.now() },
      egress: createEgress(),
      log: logInto(lines),
      events: { listChanged: () => changed.times++, connection: () => undefined },
      house: { name: 'gatehouse', version: '0.1.0' },
    },
  )
  cleanups.push(() => source.close())
  return { source, lines, changed }
}

function logInto(lines: { level: string; fields: object }[]): Log {
  const at = (level: string) => (fields: object) => void lines.push({ level, fields })
  const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child: () => log }
  return log
}

function call(more: Partial<SourceCall> = {}): SourceCall {
  return {
    method: 'tools/call',
    params: { name: 'Demo_ListMail', arguments: { n: 2 } },
    session: { key: 's', era: 'modern', userId: 'alice@example.com', clientInfo: {}, clientCapabilities: {} },
    wantsProgress: false,
    signal: AbortSignal.timeout(5_000),
    timeoutMs: 5_000,
    ...more,
  }
}

const silent = { progress: () => undefined, message: () => undefined, notify: () => undefined }

function resultOf(reply: Reply): JsonObject {
  if (reply.kind !== 'complete') throw new Error(`the reply is ${JSON.stringify(reply)}`)
  const result = reply.result.value()
  expect(result.isError === true).toBe(reply.isError)
  return result
}

function textIn(reply: Reply): string {
  const { content } = resultOf(reply)
  const [first] = Array.isArray(content) ? content : []
  return isJsonObject(first) && typeof first.text === 'string' ? first.text : ''
}

describe('sync', () => {
  it('offers the tools under their MCP names', async () => {
    const worker = await startWorker({ tools: [tool({}), tool({ name: 'Send' })] })

    const offer = await sourceFor(worker.url).source.sync(AbortSignal.timeout(5_000))

    expect(offer).toMatchObject({ era: 'worker', tools: [{ name: 'Demo_ListMail' }, { name: 'Demo_Send' }] })
  })

  it('of a worker without tools offers none', async () => {
    const worker = await startWorker({ tools: [] })

    const offer = await sourceFor(worker.url).source.sync(AbortSignal.timeout(5_000))

    expect(offer.tools).toEqual([])
  })

  it('leaves out what cannot be read and says so in the log', async () => {
    const worker = await startWorker({ tools: [tool({ name: 7 }), tool({}), tool({})] })
    const { source, lines } = sourceFor(worker.url)

    const offer = await source.sync(AbortSignal.timeout(5_000))

    expect(offer.tools).toHaveLength(1)
    expect(lines.filter((line) => line.level === 'warn')).toHaveLength(2)
  })

  it.each([
    { why: 'another secret', parts: { secret: 'other' }, code: 'tools/needs-consent', says: /refused our secret/ },
    {
      why: 'bad health',
      parts: { health: { status: 'starting' } },
      code: 'tools/upstream-unreachable',
      says: /"starting"/,
    },
    { why: 'no health', parts: { health: { ok: true } }, code: 'tools/upstream-unreachable', says: /no status/ },
  ])('is refused with the reason: $why', async ({ parts, code, says }) => {
    const worker = await startWorker(parts)

    const failure = await sourceFor(worker.url)
      .source.sync(AbortSignal.timeout(5_000))
      .catch((error: unknown) => error)

    expect(failure).toMatchObject({ kind: { code }, message: expect.stringMatching(says) })
    expect(String(failure)).not.toContain(SECRET)
  })

  it('names a worker that is not there', async () => {
    const failure = sourceFor('http://127.0.0.1:1').source.sync(AbortSignal.timeout(5_000))

    await expect(failure).rejects.toMatchObject({ kind: { code: 'tools/upstream-unreachable' } })
  })

  it('of an untrusted worker on this machine is blocked before anything is dialled', async () => {
    const worker = await startWorker({})

    const failure = sourceFor(worker.url, {}, false).source.sync(AbortSignal.timeout(5_000))

    await expect(failure).rejects.toMatchObject({ kind: { code: 'tools/blocked-address' } })
  })
})

describe('a call', () => {
  it('reaches the worker with the caller and nothing that was not asked for', async () => {
    const worker = await startWorker({ answer: () => ({ success: true, output: { value: { mails: 2 } } }) })
    const { source } = sourceFor(worker.url, { secrets: { API_KEY: 'k' } })

    const reply = await source.call(call({ trace: { traceparent: '00-1-2-01' } }), silent)

    expect(resultOf(reply)).toEqual({
      content: [{ type: 'text', text: '{"mails":2}' }],
      structuredContent: { mails: 2 },
    })
    expect(worker.invocations[0]).toMatchObject({
      tool: { name: 'ListMail', toolkit: 'Demo', version: '1.2.0' },
      inputs: { n: 2 },
      context: { user_id: 'alice@example.com' },
    })
    expect(Object.keys(worker.invocations[0]?.context ?? {})).toEqual(['user_id'])
    expect(worker.headers.at(-1)).toMatchObject({ traceparent: '00-1-2-01' })
  })

  it('carries the secrets and the metadata that this tool asks for, and no others', async () => {
    const requirements = { secrets: [{ key: 'api_key' }], metadata: [{ key: 'client_id' }, { key: 'coordinator_url' }] }
    const worker = await startWorker({
      tools: [tool({ requirements })],
      answer: () => ({ success: true, output: null }),
    })
    const { source } = sourceFor(worker.url, { secrets: { API_KEY: 'k', OTHER: 'o' } })

    await source.call(call(), silent)

    expect(worker.invocations[0]?.context).toEqual({
      user_id: 'alice@example.com',
      secrets: [{ key: 'api_key', value: 'k' }],
      metadata: [{ key: 'client_id', value: 'gatehouse' }],
    })
  })

  it('without a needed secret never reaches the worker', async () => {
    const worker = await startWorker({
      tools: [tool({ requirements: { secrets: [{ key: 'API_KEY' }, { key: 'B' }] } })],
    })

    const reply = await sourceFor(worker.url, { secrets: { B: 'b' } }).source.call(call(), silent)

    expect(textIn(reply)).toMatch(/needs the secret "API_KEY"/)
    expect(worker.invocations).toEqual([])
  })

  it('of a tool that needs a sign-in never reaches the worker', async () => {
    const requirements = { authorization: { provider_id: 'google', provider_type: 'oauth2' } }
    const worker = await startWorker({ tools: [tool({ requirements })] })

    const reply = await sourceFor(worker.url).source.call(call(), silent)

    expect(textIn(reply)).toMatch(/sign in at google/)
    expect(worker.invocations).toEqual([])
  })

  it('hands on the address at which the worker wants the user to sign in', async () => {
    const output = { requires_authorization: { authorization_url: 'https://auth.example/x', status: 'pending' } }
    const worker = await startWorker({ answer: () => ({ success: false, output }) })

    const reply = await sourceFor(worker.url).source.call(call(), silent)

    expect(textIn(reply)).toContain('https://auth.example/x')
  })

  it.each([
    { value_schema: { val_type: 'string' }, value: 'hi', text: 'hi', structured: { result: 'hi' } },
    { value_schema: { val_type: 'integer' }, value: 0, text: '0', structured: { result: 0 } },
    { value_schema: { val_type: 'boolean' }, value: false, text: 'false', structured: { result: false } },
    { value_schema: { val_type: 'array' }, value: [1], text: '[1]', structured: { result: [1] } },
    { value_schema: { val_type: 'json' }, value: [1], text: '[1]', structured: { result: [1] } },
    { value_schema: { val_type: 'string' }, value: null, text: '', structured: {} },
    { value_schema: { val_type: 'string', nullable: true }, value: null, text: '', structured: { result: null } },
    {
      value_schema: { val_type: 'json', nullable: true },
      value: { a: 1 },
      text: '{"a":1}',
      structured: { result: { a: 1 } },
    },
    { value_schema: null, value: 'hi', text: 'hi', structured: { result: 'hi' } },
    { value_schema: null, value: null, text: '', structured: undefined },
  ])('whose $value_schema.val_type is $value', async ({ value_schema, value, text, structured }) => {
    const worker = await startWorker({
      tools: [tool({ output: { value_schema } })],
      answer: () => ({ success: true, output: { value, error: null, logs: null, requires_authorization: null } }),
    })

    const reply = await sourceFor(worker.url).source.call(call(), silent)

    expect(resultOf(reply).structuredContent).toEqual(structured)
    expect(textIn(reply)).toBe(text)
  })

  it.each([
    ['TOOL_RUNTIME_BAD_INPUT_VALUE', /Correct the arguments/],
    ['TOOL_RUNTIME_RETRY', /call again/],
    ['TOOL_RUNTIME_CONTEXT_REQUIRED', /information from the user/],
    ['TOOL_RUNTIME_FATAL', /failed by itself/],
    ['TOOL_RUNTIME_BAD_OUTPUT_VALUE', /developer/],
    ['TOOLKIT_LOAD_FAILED', /administrator/],
    ['TOOL_DEFINITION_BAD_DEFINITION', /developer/],
    ['TOOL_DEFINITION_BAD_INPUT_SCHEMA', /developer/],
    ['TOOL_DEFINITION_BAD_OUTPUT_SCHEMA', /developer/],
    ['UPSTREAM_RUNTIME_BAD_REQUEST', /correct the arguments/],
    ['UPSTREAM_RUNTIME_AUTH_ERROR', /sign in/],
    ['UPSTREAM_RUNTIME_NOT_FOUND', /does not exist/],
    ['UPSTREAM_RUNTIME_VALIDATION_ERROR', /correct the arguments/],
    ['UPSTREAM_RUNTIME_RATE_LIMIT', /no more calls/],
    ['UPSTREAM_RUNTIME_SERVER_ERROR', /later/],
    ['UPSTREAM_RUNTIME_UNMAPPED', /refused or failed/],
    ['NETWORK_TRANSPORT_RUNTIME_TIMEOUT', /in time/],
    ['NETWORK_TRANSPORT_RUNTIME_UNREACHABLE', /could not be reached/],
    ['NETWORK_TRANSPORT_RUNTIME_UNMAPPED', /could not be reached/],
    ['UNKNOWN', /^it broke$/],
    ['SOMETHING_NEW', /^it broke$/],
  ])('that fails with %s is a tool error with advice and without inner facts', async (kind, advice) => {
    const error = {
      message: 'it broke',
      kind,
      developer_message: 'DEV-FACT',
      stacktrace: 'TRACE-FACT',
      can_retry: false,
      additional_prompt_content: null,
      retry_after_ms: null,
      status_code: 500,
      extra: { inner: 'EXTRA-FACT' },
    }
    const worker = await startWorker({ answer: () => ({ success: false, output: { error } }) })
    const { source, lines } = sourceFor(worker.url)

    const reply = await source.call(call(), silent)

    expect(textIn(reply)).toMatch(/^it broke/)
    expect(textIn(reply)).toMatch(advice)
    expect(resultOf(reply)).toMatchObject({ isError: true, _meta: { 'io.gatehouse/error': { kind, canRetry: false } } })
    expect(JSON.stringify(resultOf(reply))).not.toContain('FACT')
    expect(JSON.stringify(lines)).toMatch(/"level":"debug".*DEV-FACT.*TRACE-FACT/)
  })

  it('that may be repeated says when and with what', async () => {
    const error = {
      message: 'slow down',
      kind: 'UPSTREAM_RUNTIME_RATE_LIMIT',
      can_retry: true,
      retry_after_ms: 1_500,
      additional_prompt_content: 'ask for fewer rows',
    }
    const worker = await startWorker({ answer: () => ({ success: false, output: { error } }) })

    const reply = await sourceFor(worker.url).source.call(call(), silent)

    expect(textIn(reply)).toMatch(/Wait 2 s.*\nask for fewer rows$/s)
    expect(resultOf(reply)._meta).toEqual({
      'io.gatehouse/error': { kind: 'UPSTREAM_RUNTIME_RATE_LIMIT', canRetry: true, retryAfterMs: 1_500 },
    })
  })

  it('passes the log lines that the caller wants to hear', async () => {
    const logs = [
      { message: 'd', level: 'debug', subtype: null },
      { message: 'w', level: 'warning', subtype: 'deprecation' },
    ]
    const worker = await startWorker({ answer: () => ({ success: true, output: { value: {}, logs } }) })
    const { source } = sourceFor(worker.url)
    const heard: JsonObject[] = []
    const port = { ...silent, message: (params: JsonObject) => void heard.push(params) }

    await source.call(call({ logLevel: 'info' }), port)
    await source.call(call(), port)

    expect(heard).toEqual([{ level: 'warning', logger: 'Demo_ListMail', data: 'w' }])
  })

  it.each([
    { status: 500, code: 'tools/upstream-broken' },
    { status: 401, code: 'tools/needs-consent' },
    { status: 200, code: 'tools/upstream-broken' },
  ])('answered with HTTP $status and no tool response is a failure of the worker', async ({ status, code }) => {
    const worker = await startWorker({ answer: (_, response) => void response.writeHead(status).end('no json') })

    const failure = sourceFor(worker.url).source.call(call(), silent)

    await expect(failure).rejects.toMatchObject({ kind: { code } })
  })

  it('of a tool that the worker no longer has is an error reply, and the list is asked again', async () => {
    const worker = await startWorker({ answer: (_, response) => void response.writeHead(404).end('{}') })
    const { source, changed } = sourceFor(worker.url)

    const reply = await source.call(call(), silent)

    expect(reply).toMatchObject({ kind: 'error', error: { code: -32602 } })
    expect(changed.times).toBe(1)
  })

  it.each([
    { more: { params: { name: 'Demo_Nothing' } }, code: -32602 },
    { more: { params: {} }, code: -32602 },
    { more: { method: 'prompts/get' }, code: -32601 },
  ] as const)('$more is answered without asking the worker', async ({ more, code }) => {
    const worker = await startWorker({})

    const reply = await sourceFor(worker.url).source.call(call(more), silent)

    expect(reply).toMatchObject({ kind: 'error', error: { code } })
    expect(worker.invocations).toEqual([])
  })

  it('that takes too long is given up', async () => {
    const worker = await startWorker({ answer: () => undefined })

    const failure = sourceFor(worker.url).source.call(call({ timeoutMs: 100 }), silent)

    await expect(failure).rejects.toMatchObject({ kind: { code: 'tools/timed-out' } })
  })

  it('that the caller cancels ends at once', async () => {
    const abort = new AbortController()
    const worker = await startWorker({ answer: () => abort.abort() })

    const failure = sourceFor(worker.url).source.call(call({ signal: abort.signal }), silent)

    await expect(failure).rejects.toMatchObject({ kind: { code: 'tools/cancelled' } })
  })

  it('with an answer over the limit is refused', async () => {
    const worker = await startWorker({ answer: () => ({ success: true, output: { value: 'x'.repeat(3_000) } }) })

    const failure = sourceFor(worker.url, { max_result_bytes: 2_048 }).source.call(call(), silent)

    await expect(failure).rejects.toMatchObject({ kind: { code: 'tools/too-large' } })
  })
})
