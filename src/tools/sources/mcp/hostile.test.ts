import { describe, expect, test } from 'vitest'
import { lookEveryMs } from './legacy/tasks.ts'
import {
  httpSource,
  inputOf,
  openEvents,
  rawServer,
  sendJson,
  sendResult,
  testPort,
  toolCall,
  type RpcExchange,
} from './testing.ts'

/** A server that means harm: it speaks the protocol only as far as it must. */
type Answer = (exchange: RpcExchange) => void

function sessionEra(methods: Readonly<Record<string, Answer>>): Answer {
  const rules: Readonly<Record<string, Answer>> = {
    initialize: ({ res, body }) => {
      const serverInfo = { name: 'evil', version: '1' }
      sendResult(res, body.id, { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo })
    },
    'tools/list': ({ res, body }) => sendResult(res, body.id, { tools: [{ name: 't', inputSchema: {} }] }),
    'server/discover': ({ res, body }) =>
      sendJson(res, 200, { jsonrpc: '2.0', id: body.id, error: { code: -32601, message: 'no' } }),
    ...methods,
  }
  return (exchange) => {
    const { req, res, body } = exchange
    const rule = rules[body.method ?? (req.method === 'GET' ? 'GET' : 'answer')]
    if (rule !== undefined) return rule(exchange)
    if (req.method === 'GET') sendJson(res, 405, {})
    else res.writeHead(202).end()
  }
}

describe('a hostile server', () => {
  test.each(['0', '999999999'])('cannot make us ask in a hot loop (retry: %s)', async (retry) => {
    let asked = 0
    const cut: Answer = ({ res }) => {
      asked += 1
      res.writeHead(200, { 'content-type': 'text/event-stream' })
      const progress = { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 1, progress: 1 } }
      res.end(`id: e1\nretry: ${retry}\ndata: ${JSON.stringify(progress)}\n\n`)
    }
    await using server = await rawServer(sessionEra({ 'tools/call': cut, GET: cut }))
    await using source = httpSource(server.url)

    const signal = AbortSignal.timeout(700)
    await expect(source.call(toolCall('t', {}, { wantsProgress: true, signal }), testPort())).rejects.toThrow()

    expect(asked).toBeLessThan(12)
  })

  test('cannot bury a caller in questions', async () => {
    let refused = 0
    const flood: Answer = ({ res }) => {
      const say = openEvents(res)
      const params = { message: '?', requestedSchema: { type: 'object', properties: {} } }
      for (let id = 1; id <= 2_000; id++) say({ id, method: 'elicitation/create', params })
    }
    const answer: Answer = ({ res, body }) => {
      if (body.error !== undefined) refused += 1
      res.writeHead(202).end()
    }
    await using server = await rawServer(sessionEra({ 'tools/call': flood, answer }))
    await using source = httpSource(server.url)

    const reply = inputOf(await source.call(toolCall('t'), testPort()))

    expect(Object.keys(reply.requests).length).toBeLessThanOrEqual(32)
    await expect.poll(() => refused, { timeout: 10_000 }).toBeGreaterThan(1_900)
  })

  test('of the stateless era cannot bury a caller in questions either', async () => {
    const ask = { method: 'elicitation/create', params: { message: '?' } }
    const inputRequests = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`q${index}`, ask]))
    await using server = await rawServer(({ res, body }) => {
      if (body.method !== 'tools/call')
        return sendResult(res, body.id, { supportedVersions: ['2026-07-28'], capabilities: {}, tools: [] })
      sendResult(res, body.id, { resultType: 'input_required', inputRequests, requestState: 's' })
    })
    await using source = httpSource(server.url)

    await expect(source.call(toolCall('t'), testPort())).rejects.toThrow(/asked for more than/)
  })

  test.each([
    [1_000_000_000_000, 60_000],
    [-5, 1_000],
    ['soon', 1_000],
    [5_000, 5_000],
    [null, 1_000],
  ])('that wants its task looked at every %s ms is looked at every %i', (pollInterval, milliseconds) => {
    expect(lookEveryMs({ pollInterval })).toBe(milliseconds)
  })
})
