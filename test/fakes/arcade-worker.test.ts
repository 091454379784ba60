import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { signWorkerToken } from './arcade/auth.ts'
import { arcadeTools } from './arcade/tools.ts'
import { startArcadeWorker } from './arcade-worker.ts'

const SECRET = 'the secret of this test, long enough'
const nowSeconds = Math.floor(Date.now() / 1000)

type Probe = { readonly name: string; readonly path: string; readonly token?: string; readonly body?: string }

describe('the fake Arcade worker', () => {
  test('tells its health without a token', async () => {
    await using worker = await startArcadeWorker()

    const answer = await send(worker.url, { name: 'health', path: '/worker/health', token: '' })

    expect(answer).toMatchObject({ status: 200, body: { status: 'ok', tool_count: '11' } })
  })

  test('refuses a version that is a number', async () => {
    await using worker = await startArcadeWorker({ secret: SECRET })
    const token = `Bearer ${await signWorkerToken(SECRET, { ver: 1 })}`

    const answer = await send(worker.url, { name: 'number', path: '/worker/tools', token })

    expect(answer.body).toEqual({ detail: 'Invalid token. Error: Unsupported token version: 1' })
    expect(worker.refusals.total).toBe(1)
  })

  test('records whose call it was', async () => {
    await using worker = await startArcadeWorker({ secret: SECRET })
    const body = invocation('Demo.WhoAmI', {}, { user_id: 'alice@example.com' })

    const answer = await send(worker.url, { name: 'who', path: '/worker/tools/invoke', body })

    expect(answer.body).toMatchObject({ success: true, output: { value: 'alice@example.com', error: null } })
    expect(worker.invocations.entries[0]).toMatchObject({
      tool: 'Demo.WhoAmI',
      context: { user_id: 'alice@example.com' },
    })
  })

  test('answers 500 for a tool it does not have, as Python does, and 404 as TypeScript does', async () => {
    await using python = await startArcadeWorker({ secret: SECRET })
    await using typescript = await startArcadeWorker({ secret: SECRET, flavour: 'typescript' })
    const probe = { name: 'unknown', path: '/worker/tools/invoke', body: invocation('Demo.Nope') }

    const answers = [await send(python.url, probe), await send(typescript.url, probe)]

    expect(answers.map((answer) => [answer.status, answer.body])).toEqual([
      [500, 'Internal Server Error'],
      [404, { error: "Tool 'Demo.Nope' not found" }],
    ])
  })
})

// Set ARCADE_PYTHON to a Python that has `arcade-mcp-server` to hold the fake against the real worker.
const python = process.env['ARCADE_PYTHON'] ?? 'python3'
const hasArcade = spawnSync(python, ['-c', 'import arcade_serve.fastapi, arcade_tdk, uvicorn']).status === 0

describe.skipIf(!hasArcade)("the fake beside Arcade's own worker", () => {
  test('answers every request in the same way', async () => {
    await using fake = await startArcadeWorker({ secret: SECRET })
    for (const tool of arcadeTools.filter((one) => one.isFakeOnly))
      fake.setListed(`${tool.toolkit}.${tool.name}`, false)
    await using real = await startRealWorker()

    const answers = await Promise.all(
      (await probes()).map(async (probe) => ({
        probe: probe.name,
        fake: comparable(await send(fake.url, probe)),
        real: comparable(await send(real.url, probe)),
      })),
    )

    expect(answers.map(({ probe, fake: answer }) => ({ probe, answer }))).toEqual(
      answers.map(({ probe, real: answer }) => ({ probe, answer })),
    )
  })
})

async function probes(): Promise<Probe[]> {
  const tools = '/worker/tools'
  const invoke = '/worker/tools/invoke'
  const signed = async (name: string, claims: Record<string, unknown>, secret = SECRET, alg = 'HS256') => ({
    name: `token: ${name}`,
    path: tools,
    token: `Bearer ${await signWorkerToken(secret, claims, alg)}`,
  })
  const call = (tool: string, inputs?: unknown, context?: unknown): Probe => ({
    name: `${tool} ${JSON.stringify(inputs)} ${JSON.stringify(context)}`,
    path: invoke,
    body: invocation(tool, inputs, context),
  })
  const longSecret = SECRET.repeat(2)
  return [
    { name: 'health', path: '/worker/health', token: '' },
    { name: 'health by POST', path: '/worker/health', token: '', body: '{}' },
    { name: 'catalog', path: tools },
    { name: 'no token', path: tools, token: '' },
    { name: 'basic', path: tools, token: 'Basic abc' },
    { name: 'only the scheme', path: tools, token: 'Bearer' },
    { name: 'nonsense', path: tools, token: 'Bearer nonsense' },
    await signed('valid', {}),
    await signed('version 1 as a number', { ver: 1 }),
    await signed('version 2', { ver: '2' }),
    await signed('no version', { ver: undefined }),
    await signed('another audience', { aud: 'other' }),
    await signed('several audiences', { aud: ['other', 'worker'] }),
    await signed('no audience', { aud: undefined }),
    await signed('expired', { exp: 1 }),
    await signed('no times', { exp: undefined, iat: undefined }),
    await signed('issued later', { iat: nowSeconds + 600, exp: nowSeconds + 900 }),
    await signed('not before later', { nbf: nowSeconds + 600 }),
    await signed('wrong secret', {}, longSecret),
    await signed('wrong algorithm', {}, SECRET, 'HS512'),
    ...[{ a: 1, b: 2 }, { a: '1', b: 2 }, { a: 'x', b: 2 }, { a: 1 }, { a: 1, b: 2, c: 3 }].map((one) =>
      call('Math.Add', one),
    ),
    ...[
      { a: 1.5, b: 2 },
      { a: 1, b: true },
      { a: null, b: [] },
    ].map((one) => call('Math.Add', one)),
    call('mATH.aDD', { a: 1, b: 2 }),
    call('Math.Nope', {}),
    call('Nope.Add', {}),
    call('Demo.Echo', { text: 'hi', times: 2, style: 'loud', tags: ['x'], options: { a: 1 } }),
    ...[{ text: 'hi', style: 'odd' }, { text: 5 }, { text: 'hi', tags: null }, null].map((one) =>
      call('Demo.Echo', one),
    ),
    call('Demo.Echo', { text: 'hi', tags: 'x', options: [1] }),
    ...[{ user_id: 'u@x' }, {}, null].map((context) => call('Demo.WhoAmI', {}, context)),
    ...[{ secrets: [{ key: 'api_key', value: 'abc' }] }, {}, { secrets: { API_KEY: 'x' } }].map((context) =>
      call('Demo.NeedsSecret', {}, context),
    ),
    ...[{ authorization: { token: 'tok', user_info: {} } }, {}].map((context) => call('Demo.NeedsAuth', {}, context)),
    ...['retry', 'context', 'fatal', 'upstream', 'rate_limit', 'plain', 'returns_wrong'].map((how) =>
      call('Demo.Fails', { how }),
    ),
    call('Demo.OldEcho', { text: 'x' }),
    call('Demo.OldEcho', {}),
    call('Demo.Points', { count: 2 }),
    call('Demo.Nothing', {}),
    ...['{bad', '[]', '', '{"tool":{"name":"Add"}}'].map((body) => ({ name: `body ${body}`, path: invoke, body })),
    {
      name: 'a version',
      path: invoke,
      body: '{"tool":{"name":"Add","toolkit":"Math","version":"9.9"},"inputs":{"a":1,"b":1}}',
    },
    { name: 'no execution id', path: invoke, body: '{"tool":{"name":"Add","toolkit":"Math"},"inputs":{"a":1,"b":1}}' },
    { name: 'invoke by GET', path: invoke },
    { name: 'no such path', path: '/worker/nope' },
    { name: 'resources', path: '/worker/resources/list', body: '{}' },
    { name: 'a resource', path: '/worker/resources/read', body: '{"uri":"x://y"}' },
    { name: 'no resource', path: '/worker/resources/read', body: '{}' },
  ]
}

function invocation(tool: string, inputs: unknown = {}, context: unknown = {}): string {
  const [toolkit, name] = tool.split('.')
  return JSON.stringify({ run_id: 'r', execution_id: 'e', tool: { name, toolkit, version: null }, inputs, context })
}

async function send(url: string, { path, token, body }: Probe) {
  const authorization = token ?? `Bearer ${await signWorkerToken(SECRET)}`
  const response = await fetch(url + path, {
    headers: authorization === '' ? {} : { authorization },
    ...(body === undefined ? {} : { method: 'POST', body }),
  })
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.includes('json') === true
  const parsed: unknown = isJson ? JSON.parse(text) : text
  return { status: response.status, challenge: response.headers.get('www-authenticate'), body: parsed }
}

/** Takes out what differs from run to run: times, and the texts of Python's own stack traces and validator. */
function comparable(answer: Awaited<ReturnType<typeof send>>) {
  const text = JSON.stringify(answer, (key: string, value: unknown) => {
    if (key === 'finished_at' || key === 'duration') return typeof value
    if (key === 'stacktrace') return value === null ? null : 'a stack trace'
    if (key === 'developer_message' && typeof value === 'string') return value.split('\n')[0]
    return value
  })
  const parsed: unknown = JSON.parse(text)
  return parsed
}

async function startRealWorker() {
  const child = spawn(python, [join(import.meta.dirname, 'arcade/real_worker.py'), SECRET], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, ARCADE_USAGE_TRACKING: '0' },
  })
  const [port] = z.array(z.string()).parse(await once(createInterface({ input: child.stdout }), 'line'))
  const close = async () => {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  return { url: `http://127.0.0.1:${port}`, close, [Symbol.asyncDispose]: close }
}
