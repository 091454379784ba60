import { describe, expect, test } from 'vitest'
import {
  startConfused,
  startEndless,
  startExpiring,
  startFailing,
  startGarbage,
  startHanging,
  startHangingInCalls,
  startRedirecting,
  startResetting,
  startRestartable,
  startToolless,
} from './bad-neighbours.ts'
import { callText, connectClient } from './connect.ts'
import { startCounterServer } from './counter-server.ts'

const list = { jsonrpc: '2.0', id: 1, method: 'tools/list' }

describe('a bad neighbour', () => {
  test('hangs: it takes the request and never answers', async () => {
    await using neighbour = await startHanging()
    const giveUp = new AbortController()

    const answer = post(neighbour.url, list, { signal: giveUp.signal })
    await neighbour.seen.until((seen) => seen.rpc === 'tools/list')
    giveUp.abort()

    await expect(answer).rejects.toThrow()
  })

  test('hangs only in calls: it is connected and lists its tool', async () => {
    await using neighbour = await startHangingInCalls()
    await using client = await connectClient(neighbour.url)

    const { tools } = await client.listTools()

    expect(tools.map((tool) => tool.name)).toEqual(['echo'])
    await expect(client.callTool({ name: 'echo' }, { timeout: 50 })).rejects.toThrow(/timed out/i)
  })

  test('fails with the status it was given', async () => {
    await using neighbour = await startFailing(503)

    expect((await post(neighbour.url, list)).status).toBe(503)
  })

  test('says JSON and sends garbage', async () => {
    await using neighbour = await startGarbage()

    const response = await post(neighbour.url, list)

    expect(response.headers.get('content-type')).toBe('application/json')
    await expect(response.json()).rejects.toThrow()
  })

  test.for([
    { kind: 'other-id', message: { id: 987_654, result: {} } },
    { kind: 'wrong-shape', message: { id: 1, result: { tools: 'none' } } },
    { kind: 'both', message: { id: 1, result: {}, error: { code: -1 } } },
  ] as const)('answers valid JSON-RPC that is wrong: $kind', async ({ kind, message }) => {
    await using neighbour = await startConfused(kind)

    expect(await (await post(neighbour.url, list)).json()).toMatchObject(message)
  })

  test.for(['json', 'sse'] as const)('sends a body without an end: %s', async (kind) => {
    await using neighbour = await startEndless(kind)
    const response = await post(neighbour.url, list)
    let bytes = 0

    for await (const chunk of response.body ?? []) {
      bytes += chunk.length
      if (bytes > 2 * 1024 * 1024) break
    }

    expect(bytes).toBeGreaterThan(2 * 1024 * 1024)
  })

  test('has no tools', async () => {
    await using neighbour = await startToolless()
    await using client = await connectClient(neighbour.url)

    expect((await client.listTools()).tools).toEqual([])
  })

  test.for(['at-once', 'after-request'] as const)('resets the connection %s', async (when) => {
    await using neighbour = await startResetting(when)

    await expect(post(neighbour.url, list)).rejects.toThrow()
    expect(neighbour.connections()).toBeGreaterThan(0)
  })

  test('redirects to another origin, where it can be seen what followed', async () => {
    await using neighbour = await startRedirecting(307)

    await fetch(neighbour.url, {
      method: 'POST',
      body: JSON.stringify(list),
      headers: { authorization: 'Bearer secret', 'x-api-key': 'secret' },
    })

    const arrived = neighbour.elsewhere.seen.entries[0]?.headers
    expect(new URL(neighbour.elsewhere.url).origin).not.toBe(new URL(neighbour.url).origin)
    // The platform's own fetch drops Authorization and keeps what it does not know: a careful client must do better.
    expect(arrived).toMatchObject({ 'x-api-key': 'secret' })
    expect(arrived?.authorization).toBeUndefined()
  })

  test('ends its sessions after so many requests, and on command', async () => {
    await using neighbour = await startExpiring(3)
    await using first = await connectClient(neighbour.url)
    await using second = await connectClient(neighbour.url)

    const echoed = await callText(first, 'echo', { text: 'a' })
    neighbour.expireSessions()

    expect(echoed).toBe('{"text":"a"}')
    await expect(first.listTools()).rejects.toThrow(/404|not found/i)
    await expect(second.listTools()).rejects.toThrow(/404|not found/i)
    expect(neighbour.opened).toBe(2)
  })

  test('stops and comes back at the same port, with nothing remembered', async () => {
    await using server = await startRestartable((port) => startCounterServer({ port }))
    await using client = await connectClient(server.url)
    await callText(client, 'increment')

    await server.stop()
    await expect(post(server.url, list)).rejects.toThrow()
    await server.start()

    await using again = await connectClient(server.url)
    expect(await callText(again, 'increment')).toBe('1')
  })
})

function post(url: string, message: object, init: RequestInit = {}): Promise<Response> {
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
  return fetch(url, { method: 'POST', headers, body: JSON.stringify(message), ...init })
}
