import { once } from 'node:events'
import { createConnection } from 'node:net'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { startBareProxy } from './bare-proxy.ts'
import { callText, connectClient, connectSse } from './connect.ts'
import { startCounterServer } from './counter-server.ts'
import { startEchoUpstream } from './echo-upstream.ts'
import { startSideEffectServer } from './side-effect-server.ts'
import { startSseServer } from './sse-server.ts'

const eras = ['legacy', 'modern'] as const

describe('the counter', () => {
  test('counts for each legacy session alone', async () => {
    await using server = await startCounterServer()
    await using alice = await connectClient(server.url)
    await using bob = await connectClient(server.url)

    const counted = [
      await callText(alice, 'increment'),
      await callText(alice, 'increment'),
      await callText(bob, 'increment'),
    ]

    expect(counted).toEqual(['1', '2', '1'])
    expect([...server.counts.values()]).toEqual([2, 1])
    expect(server.sessions).toMatchObject({ opened: 2, live: 2 })
  })

  test('counts for each modern client by its name', async () => {
    await using server = await startCounterServer()
    await using alice = await connectClient(server.url, { era: 'modern', name: 'alice' })
    await using bob = await connectClient(server.url, { era: 'modern', name: 'bob' })

    const counted = [
      await callText(alice, 'increment'),
      await callText(bob, 'increment'),
      await callText(alice, 'increment'),
    ]

    expect(counted).toEqual(['1', '1', '2'])
    expect([...server.counts]).toEqual([
      ['alice', 2],
      ['bob', 1],
    ])
  })

  test('holds 1,200 sessions at once', { timeout: 60_000 }, async () => {
    await using server = await startCounterServer({ eras: 'legacy' })
    const ids = await inBatches(1_200, () => openRawSession(server.url))

    await inBatches(ids.length, (i) => callRaw(server.url, ids[i] ?? ''))

    expect(server.sessions.live).toBe(1_200)
    expect([...server.counts.values()].every((count) => count === 1)).toBe(true)
    expect(server.counts.size).toBe(1_200)
  })

  test('answers 404 to a session it has forgotten', async () => {
    await using server = await startCounterServer({ eras: 'legacy' })
    const id = await openRawSession(server.url)

    await server.forgetSessions()

    expect(await callRaw(server.url, id)).toBe(404)
    expect(server.sessions).toMatchObject({ opened: 1, closed: 1, live: 0 })
  })
})

describe('the side effects', () => {
  test.for(eras)('are counted per order for a %s client', async (era) => {
    await using server = await startSideEffectServer()
    await using client = await connectClient(server.url, { era })

    await callText(client, 'charge', { order: 'a' })
    const second = await callText(client, 'charge', { order: 'a' })
    await callText(client, 'lookup', { order: 'b' })

    expect(second).toBe('charged a, time 2')
    expect([server.timesRun('charge', 'a'), server.timesRun('lookup', 'b'), server.timesRun('charge', 'b')]).toEqual([
      2, 1, 0,
    ])
  })

  test('stay in the file when the caller gives up before the answer', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'effects-'))
    const logFile = join(folder, 'log')
    await using server = await startSideEffectServer({ latencyMs: 30_000, logFile })
    await using client = await connectClient(server.url)
    const giveUp = new AbortController()

    const call = client.callTool({ name: 'charge', arguments: { order: 'x' } }, { signal: giveUp.signal })
    await server.executions.until((execution) => execution.order === 'x')
    giveUp.abort()

    await expect(call).rejects.toThrow()
    expect(await readFile(logFile, 'utf8')).toBe('{"tool":"charge","order":"x"}\n')
    await rm(folder, { recursive: true })
  })
})

describe('the old SSE server', () => {
  test('serves tools, progress and questions over its stream', async () => {
    await using server = await startSseServer()
    await using client = await connectSse(server.url, {
      capabilities: { sampling: {}, elicitation: {} },
      prepare: (one) => {
        one.setRequestHandler('sampling/createMessage', () => ({
          role: 'assistant',
          content: { type: 'text', text: 'yes' },
          model: 'test',
        }))
        one.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: { name: 'Ada' } }))
      },
    })
    const progress: number[] = []

    const echoed = await callText(client, 'echo', { text: 'hi' })
    await client.callTool({ name: 'count_down' }, { onprogress: (report) => progress.push(report.progress) })
    const asked = [await callText(client, 'ask_model'), await callText(client, 'ask_user')]

    expect(echoed).toBe('hi')
    expect(progress).toEqual([1, 2, 3])
    expect(asked).toEqual(['model: {"type":"text","text":"yes"}', 'user: accept {"name":"Ada"}'])
    expect(client.getServerVersion()?.name).toBe('sse-server')
  })

  test('answers 405 to a POST at its stream, so that clients fall back', async () => {
    await using server = await startSseServer()

    const response = await fetch(server.url, { method: 'POST', body: '{}' })

    expect(response.status).toBe(405)
  })
})

describe('the echo upstream', () => {
  test.for(eras)('serves a real %s client, directly and through the bare proxy', async (era) => {
    await using upstream = await startEchoUpstream()
    await using proxy = await startBareProxy({ target: upstream.url })
    await using direct = await connectClient(upstream.url, { era })
    await using proxied = await connectClient(proxy.url, { era })

    const tools = await direct.listTools()
    const echoed = [await callText(direct, 'echo', { text: 'a' }), await callText(proxied, 'echo', { text: 'b' })]

    expect(tools.tools.map((tool) => tool.name)).toEqual(['echo'])
    expect(echoed).toEqual(['a', 'b'])
    expect(upstream.calls).toBe(2)
  })
})

test('a fake that is closed lets go of open connections', async () => {
  const upstream = await startEchoUpstream()
  const socket = createConnection(upstream.port, '127.0.0.1')
  await once(socket, 'connect')

  await upstream.close()

  await expect(once(socket, 'close')).resolves.toBeDefined()
})

async function openRawSession(url: string): Promise<string> {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } }
  const response = await post(url, { id: 1, method: 'initialize', params })
  await response.text()
  return response.headers.get('mcp-session-id') ?? ''
}

async function callRaw(url: string, sessionId: string): Promise<number> {
  const call = { id: 2, method: 'tools/call', params: { name: 'increment', arguments: {} } }
  const response = await post(url, call, { 'mcp-session-id': sessionId, 'mcp-protocol-version': '2025-11-25' })
  await response.text()
  return response.status
}

function post(url: string, message: object, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body: JSON.stringify({ jsonrpc: '2.0', ...message }),
  })
}

async function inBatches<T>(count: number, work: (i: number) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  for (let start = 0; start < count; start += 20) {
    const size = Math.min(20, count - start)
    results.push(...(await Promise.all(Array.from({ length: size }, (_, i) => work(start + i)))))
  }
  return results
}
