import { describe, expect, test } from 'vitest'
import type { JsonObject } from '#kernel'
import {
  caller,
  httpSource,
  inputOf,
  openEvents,
  rawServer,
  sendJson,
  sendResult,
  testPort,
  textOf,
  toolCall,
  type RpcExchange,
} from './testing.ts'
import { startEverything } from './testing-everything.ts'

const never = new AbortController().signal
const TEXT = (text: string) => ({ content: [{ type: 'text', text }] })
const INIT = {
  protocolVersion: '2025-11-25',
  capabilities: { tools: { listChanged: true }, resources: {} },
  serverInfo: { name: 'raw', version: '1' },
}

type Answer = (exchange: RpcExchange) => void

/** A session-era server on raw HTTP; what it does with a method can be said for each. */
function legacyAnswer(methods: Record<string, Answer>, seen: RpcExchange[] = []): Answer {
  let sessions = 0
  return (exchange) => {
    const { req, res, body } = exchange
    seen.push(exchange)
    const own = methods[body.method ?? (body.id === undefined ? (req.method ?? '') : 'answer')]
    if (own !== undefined) return own(exchange)
    if (req.method === 'GET') return sendJson(res, 405, {})
    if (req.method === 'DELETE') return void res.writeHead(204).end()
    if (body.method === 'initialize') {
      sessions += 1
      return sendResult(res, body.id, INIT, { 'mcp-session-id': `s${sessions}` })
    }
    if (body.method === 'server/discover') return sendJson(res, 400, rpcError(body.id, -32000, 'no session'))
    if (body.id === undefined || body.method === undefined) return void res.writeHead(202).end()
    if (body.method === 'tools/list')
      return sendResult(res, body.id, { tools: [{ name: 't', inputSchema: { type: 'object' } }] })
    sendJson(res, 200, rpcError(body.id, -32601, 'no such method'))
  }
}

function rpcError(id: unknown, code: number, message: string): object {
  return { jsonrpc: '2.0', id: id ?? null, error: { code, message } }
}

const modernAnswer =
  (methods: Record<string, Answer>, seen: RpcExchange[] = []): Answer =>
  (exchange) => {
    const { res, body } = exchange
    seen.push(exchange)
    const own = methods[body.method ?? '']
    if (own !== undefined) return own(exchange)
    if (body.method === 'server/discover') {
      return sendResult(res, body.id, {
        resultType: 'complete',
        supportedVersions: ['2026-07-28'],
        capabilities: { tools: {} },
      })
    }
    if (body.method === 'tools/list') return sendResult(res, body.id, { resultType: 'complete', tools: [] })
    if (body.method === 'initialize') return sendJson(res, 400, rpcError(body.id, -32022, 'unsupported'))
    sendJson(res, 404, rpcError(body.id, -32601, 'no such method'))
  }

describe('sessions upstream', () => {
  test('a session that is gone is made anew and the request repeated once', async () => {
    const seen: RpcExchange[] = []
    const call: Answer = ({ req, res, body }) =>
      req.headers['mcp-session-id'] === 's3'
        ? sendResult(res, body.id, TEXT('ok'))
        : sendJson(res, 404, rpcError(body.id, -32001, 'gone'))
    await using server = await rawServer(legacyAnswer({ 'tools/call': call }, seen))
    await using source = httpSource(server.url)

    const reply = await source.call(toolCall('t'), testPort())

    expect(textOf(reply)).toBe('ok')
    expect(seen.filter(({ body }) => body.method === 'tools/call')).toHaveLength(2)
  })

  test('a server that forgets every session is given up after the second time', async () => {
    const call: Answer = ({ res, body }) => sendJson(res, 404, rpcError(body.id, -32001, 'gone'))
    await using server = await rawServer(legacyAnswer({ 'tools/call': call }))
    await using source = httpSource(server.url)

    await expect(source.call(toolCall('t'), testPort())).rejects.toThrow('no longer knows the session')
  })

  test('a real server that was restarted answers the next call', async () => {
    const first = await startEverything('streamableHttp')
    await using source = httpSource(first.url)
    await source.call(toolCall('echo', { message: '1' }), testPort())
    await first[Symbol.asyncDispose]()

    const down = await source.call(toolCall('echo', { message: '2' }), testPort()).catch((error: unknown) => error)
    await using _second = await startEverything('streamableHttp', first.port)
    const reply = await source.call(toolCall('echo', { message: '3' }), testPort())

    expect(down).toMatchObject({ kind: { code: 'tools/upstream-unreachable' } })
    expect(textOf(reply)).toBe('Echo: 3')
  })

  test('the longest idle session makes room, and none idle is an overload', async () => {
    const hanging: (() => void)[] = []
    const started = Promise.withResolvers<void>()
    const call: Answer = ({ res, body }) => {
      if (body.params?.['name'] !== 'hang') return sendResult(res, body.id, TEXT('ok'))
      hanging.push(() => sendResult(res, body.id, TEXT('late')))
      if (hanging.length === 2) started.resolve()
    }
    const seen: RpcExchange[] = []
    await using server = await rawServer(legacyAnswer({ 'tools/call': call }, seen))
    await using source = httpSource(server.url, { max_sessions: 2 })
    const as = (key: string) => ({ session: caller({ key }) })

    await source.call(toolCall('x', {}, as('a')), testPort())
    await source.call(toolCall('x', {}, as('b')), testPort())
    await source.call(toolCall('x', {}, as('c')), testPort())
    const closed = seen.find(({ req }) => req.method === 'DELETE' && req.headers['mcp-session-id'] === 's2')
    const running = [
      source.call(toolCall('hang', {}, as('b')), testPort()),
      source.call(toolCall('hang', {}, as('c')), testPort()),
    ]
    await started.promise
    const refused = await source.call(toolCall('x', {}, as('d')), testPort()).catch((error: unknown) => error)
    for (const answer of hanging) answer()
    const replies = await Promise.all(running)

    expect(closed).toBeDefined()
    expect(refused).toMatchObject({ kind: { code: 'tools/overloaded' } })
    expect(replies.map(textOf)).toEqual(['late', 'late'])
  })

  test('the streams of many sessions leave room for calls', async () => {
    const call: Answer = ({ res, body }) => sendResult(res, body.id, TEXT('ok'))
    const get: Answer = ({ res }) => {
      openEvents(res)
    }
    await using server = await rawServer(legacyAnswer({ 'tools/call': call, GET: get }))
    await using source = httpSource(server.url)
    const keys = Array.from({ length: 160 }, (_, index) => `session-${index}`)

    for (const key of keys) await source.call(toolCall('t', {}, { session: caller({ key }) }), testPort())

    expect(source.usage().sessions).toBe(160)
  })

  test('an idle session is closed after its time', async () => {
    const ended = Promise.withResolvers<void>()
    const endings: Answer = ({ req, res }) => {
      if (req.headers['mcp-session-id'] === 's2') ended.resolve()
      res.writeHead(204).end()
    }
    const call: Answer = ({ res, body }) => sendResult(res, body.id, TEXT('ok'))
    await using server = await rawServer(legacyAnswer({ 'tools/call': call, DELETE: endings }))
    await using source = httpSource(server.url, { session_idle_ms: 40 })

    await source.call(toolCall('t'), testPort())
    await ended.promise

    expect(source.usage().sessions).toBe(0)
  })
})

describe('silence, cancellation and size', () => {
  test.each(['legacy', 'modern'] as const)('silence ends a %s call, and signs of life do not', async (era) => {
    const call: Answer = ({ res, body }) => {
      const send = openEvents(res)
      let ticks = 0
      const timer = setInterval(() => {
        ticks += 1
        if (ticks <= 4) return send({ method: 'notifications/message', params: { level: 'info', data: ticks } })
        clearInterval(timer)
        if (body.params?.['name'] === 'ends') send({ id: body.id, result: TEXT('ok') })
      }, 60)
    }
    const answer = era === 'legacy' ? legacyAnswer : modernAnswer
    await using server = await rawServer(answer({ 'tools/call': call }))
    await using source = httpSource(server.url)

    const reply = await source.call(toolCall('ends', {}, { timeoutMs: 150 }), testPort())
    const silent = await source
      .call(toolCall('silent', {}, { timeoutMs: 150 }), testPort())
      .catch((error: unknown) => error)

    expect(textOf(reply)).toBe('ok')
    expect(silent).toMatchObject({ kind: { code: 'tools/timed-out' } })
  })

  test('cancelling tells a session-era server and stops waiting', async () => {
    const called = Promise.withResolvers<RpcExchange>()
    const cancelled = Promise.withResolvers<RpcExchange>()
    const answers = {
      'tools/call': called.resolve,
      'notifications/cancelled': (exchange: RpcExchange) => {
        cancelled.resolve(exchange)
        exchange.res.writeHead(202).end()
      },
    }
    await using server = await rawServer(legacyAnswer(answers))
    await using source = httpSource(server.url)
    const stop = new AbortController()

    const pending = source.call(toolCall('t', {}, { signal: stop.signal }), testPort()).catch((error: unknown) => error)
    const { body } = await called.promise
    stop.abort()

    expect(await pending).toMatchObject({ kind: { code: 'tools/cancelled' } })
    expect((await cancelled.promise).body.params).toMatchObject({ requestId: body.id })
  })

  test('cancelling closes the response of a stateless server', async () => {
    const called = Promise.withResolvers<RpcExchange>()
    const closed = Promise.withResolvers<void>()
    const call: Answer = (exchange) => {
      exchange.res.on('close', () => closed.resolve())
      called.resolve(exchange)
    }
    await using server = await rawServer(modernAnswer({ 'tools/call': call }))
    await using source = httpSource(server.url)
    const stop = new AbortController()

    const pending = source.call(toolCall('t', {}, { signal: stop.signal }), testPort()).catch((error: unknown) => error)
    await called.promise
    stop.abort()

    expect(await pending).toMatchObject({ kind: { code: 'tools/cancelled' } })
    await closed.promise
  })

  test.each(['json', 'events'] as const)('a result over the limit is refused (%s)', async (form) => {
    const call: Answer = ({ res, body }) => {
      const big = TEXT('x'.repeat(200_000))
      if (form === 'json') return sendResult(res, body.id, big)
      openEvents(res)({ id: body.id, result: big })
    }
    await using server = await rawServer(modernAnswer({ 'tools/call': call }))
    await using source = httpSource(server.url, { max_result_bytes: 65_536 })

    await expect(source.call(toolCall('t'), testPort())).rejects.toMatchObject({ kind: { code: 'tools/too-large' } })
  })
})

describe('refusals', () => {
  test.each([
    [401, 'tools/needs-consent'],
    [403, 'tools/upstream-unreachable'],
    [503, 'tools/upstream-unreachable'],
    [429, 'tools/upstream-unreachable'],
  ])('status %i is no evidence of an era, and says why', async (status, code) => {
    let isRefusing = true
    const modern = modernAnswer({})
    await using server = await rawServer((exchange) =>
      isRefusing ? sendJson(exchange.res, status, {}) : modern(exchange),
    )
    await using source = httpSource(server.url)

    const refused = await source.sync(never).catch((error: unknown) => error)
    isRefusing = false
    const offer = await source.sync(never)

    expect(refused).toMatchObject({ kind: { code } })
    expect(offer.era).toBe('modern')
  })

  test('a redirect within the origin is followed, one to a stranger is refused and gets no headers', async () => {
    const strangers: unknown[] = []
    await using stranger = await rawServer(({ req, res }) => {
      strangers.push(req.headers)
      sendJson(res, 200, {})
    })
    const modern = modernAnswer({ 'tools/call': ({ res, body }) => sendResult(res, body.id, TEXT('ok')) })
    await using server = await rawServer((exchange) => {
      const { req, res } = exchange
      if (req.url === '/mcp') return void res.writeHead(307, { location: '/there' }).end()
      if (req.url === '/away') return void res.writeHead(308, { location: stranger.url }).end()
      modern(exchange)
    })
    await using near = httpSource(server.url, { headers: { 'X-Key': 'k' } })
    await using far = httpSource(server.url.replace('/mcp', '/away'), { headers: { 'X-Key': 'k' } })

    const reply = await near.call(toolCall('t'), testPort())
    const refused = await far.sync(never).catch((error: unknown) => error)

    expect(textOf(reply)).toBe('ok')
    expect(String(refused)).toContain('redirects to')
    expect(strangers).toEqual([])
  })

  test.each(['not json', '{"jsonrpc":"2.0","id":1', '[]', '{"jsonrpc":"2.0","id":99,"result":{}}'])(
    'nonsense is a broken reply: %s',
    async (text) => {
      const call: Answer = ({ res }) => void res.writeHead(200, { 'content-type': 'application/json' }).end(text)
      await using server = await rawServer(modernAnswer({ 'tools/call': call }))
      await using source = httpSource(server.url)

      await expect(source.call(toolCall('t'), testPort())).rejects.toMatchObject({
        kind: { code: 'tools/upstream-broken' },
      })
    },
  )

  test('a server that is not there is unreachable', async () => {
    const server = await rawServer(() => undefined)
    await server.close()
    await using source = httpSource(server.url)

    await expect(source.sync(never)).rejects.toThrow('it refused the connection')
  })
})

describe('a server that changes its era in place', () => {
  test('is followed up and down without losing the call', async () => {
    const ok: Answer = ({ res, body }) => sendResult(res, body.id, TEXT('ok'))
    const eras = { legacy: legacyAnswer({ 'tools/call': ok }), modern: modernAnswer({ 'tools/call': ok }) }
    let era: keyof typeof eras = 'legacy'
    await using server = await rawServer((exchange) => eras[era](exchange))
    await using source = httpSource(server.url)

    const before = await source.sync(never)
    await source.call(toolCall('t'), testPort())
    era = 'modern'
    const up = await source.call(toolCall('t'), testPort())
    const after = await source.sync(never)
    era = 'legacy'
    const down = await source.call(toolCall('t'), testPort())

    expect([before.era, after.era]).toEqual(['legacy', 'modern'])
    expect([textOf(up), textOf(down)]).toEqual(['ok', 'ok'])
    expect((await source.sync(never)).era).toBe('legacy')
  })
})

describe('a source that is closed while it finds out the era', () => {
  test('ends the session that the question began', async () => {
    const asked = Promise.withResolvers<RpcExchange>()
    const seen: RpcExchange[] = []
    await using server = await rawServer(legacyAnswer({ initialize: asked.resolve }, seen))
    const source = httpSource(server.url)
    const syncing = source.sync(never).catch(() => undefined)
    const { res, body } = await asked.promise

    const closed = source.close()
    sendResult(res, body.id, INIT, { 'mcp-session-id': 'of-the-question' })
    await Promise.all([closed, syncing])

    const deleted = seen.filter(({ req }) => req.method === 'DELETE').map(({ req }) => req.headers['mcp-session-id'])
    expect(deleted).toEqual(['of-the-question'])
  })

  test('does not wait for a server that says nothing, and asks it nothing more', async () => {
    const asked = Promise.withResolvers<void>()
    await using server = await rawServer(() => asked.resolve())
    const source = httpSource(server.url, { timeout_ms: 60_000 })
    const syncing = source.sync(never)
    const outcome = expect(syncing).rejects.toThrow('no longer used')
    await asked.promise

    await source.close()

    await outcome
    await expect(source.call(toolCall('t'), testPort())).rejects.toThrow('no longer used')
  })
})

describe('a broken stream', () => {
  test('is resumed behind its last event, without calling again', async () => {
    const calls: RpcExchange[] = []
    const call: Answer = (exchange) => {
      calls.push(exchange)
      const { res } = exchange
      res.writeHead(200, { 'content-type': 'text/event-stream' })
      res.write('id: e1\nretry: 10\ndata:\n\n')
      res.end(
        'id: e2\ndata: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}\n\n',
      )
    }
    const get: Answer = ({ req, res }) => {
      if (req.headers['last-event-id'] !== 'e2') return sendJson(res, 405, {})
      openEvents(res)({ id: calls[0]?.body.id, result: TEXT('resumed') }, 'e3')
    }
    await using server = await rawServer(legacyAnswer({ 'tools/call': call, GET: get }))
    await using source = httpSource(server.url)
    const port = testPort()

    const reply = await source.call(toolCall('t', {}, { wantsProgress: true }), port)

    expect(textOf(reply)).toBe('resumed')
    expect(calls).toHaveLength(1)
    expect(port.progressed).toEqual([{ progress: 1 }])
  })

  test('that cannot be resumed is an unreachable server, not a second call', async () => {
    const calls: RpcExchange[] = []
    const call: Answer = (exchange) => {
      calls.push(exchange)
      openEvents(exchange.res)({ method: 'notifications/message', params: { level: 'info', data: 1 } })
      exchange.res.destroy()
    }
    await using server = await rawServer(legacyAnswer({ 'tools/call': call }))
    await using source = httpSource(server.url)

    await expect(source.call(toolCall('t'), testPort())).rejects.toMatchObject({
      kind: { code: 'tools/upstream-unreachable' },
    })
    expect(calls).toHaveLength(1)
  })
})

describe('questions of a session-era server', () => {
  const form = { message: 'who?', requestedSchema: { type: 'object', properties: {} } }

  /** Asks `count` questions on the call's stream and answers with what it heard. */
  function asking(count: number): { answers: Record<string, Answer>; heard: JsonObject[]; calls: RpcExchange[] } {
    const heard: JsonObject[] = []
    const calls: RpcExchange[] = []
    let finish: (() => void) | undefined
    return {
      heard,
      calls,
      answers: {
        'tools/call': (exchange) => {
          calls.push(exchange)
          const send = openEvents(exchange.res)
          for (let i = 0; i < count; i += 1) send({ id: `q${i}`, method: 'elicitation/create', params: form })
          finish = () => send({ id: exchange.body.id, result: TEXT(`heard ${heard.length}`) })
        },
        answer: ({ res, body }) => {
          res.writeHead(202).end()
          heard.push({ ...(body.result ?? body.error), id: body.id })
          if (heard.length === count) finish?.()
        },
      },
    }
  }

  test('two that come together are asked together, and what is not answered is asked again', async () => {
    const two = asking(2)
    await using server = await rawServer(legacyAnswer(two.answers))
    await using source = httpSource(server.url)
    const call = toolCall('t')

    const first = inputOf(await source.call(call, testPort()))
    const [a = '', b = ''] = Object.keys(first.requests)
    const second = inputOf(
      await source.call({ ...call, state: first.state, inputResponses: { [a]: { action: 'accept' } } }, testPort()),
    )
    const reply = await source.call(
      { ...call, state: second.state, inputResponses: { [b]: { action: 'decline' }, other: {} } },
      testPort(),
    )

    expect(Object.keys(first.requests)).toHaveLength(2)
    expect(Object.keys(second.requests)).toEqual([b])
    expect(textOf(reply)).toBe('heard 2')
    expect(two.calls).toHaveLength(1)
    expect(two.heard).toEqual([
      { action: 'accept', id: 'q0' },
      { action: 'decline', id: 'q1' },
    ])
  })

  test('a used, foreign or invented state is refused alike, and harms nothing', async () => {
    const one = asking(1)
    await using server = await rawServer(legacyAnswer(one.answers))
    await using source = httpSource(server.url)
    const call = toolCall('t')
    const expired = { kind: { code: 'tools/input-expired' } }

    const asked = inputOf(await source.call(call, testPort()))
    const inputResponses = Object.fromEntries(Object.keys(asked.requests).map((key) => [key, { action: 'accept' }]))
    const foreign = source.call(
      { ...call, session: caller({ key: 'other' }), state: asked.state, inputResponses },
      testPort(),
    )
    await expect(foreign).rejects.toMatchObject(expired)
    await expect(source.call({ ...call, state: 'x:1', inputResponses }, testPort())).rejects.toMatchObject(expired)
    const reply = await source.call({ ...call, state: asked.state, inputResponses }, testPort())
    await expect(source.call({ ...call, state: asked.state, inputResponses }, testPort())).rejects.toMatchObject(
      expired,
    )

    expect(textOf(reply)).toBe('heard 1')
    expect(source.usage().parkedCalls).toBe(0)
  })

  test('the clock stands still while the caller thinks', async () => {
    const one = asking(1)
    await using server = await rawServer(legacyAnswer(one.answers))
    await using source = httpSource(server.url)
    const call = toolCall('t', {}, { timeoutMs: 100 })

    const asked = inputOf(await source.call(call, testPort()))
    await new Promise((resolve) => setTimeout(resolve, 250))
    const inputResponses = Object.fromEntries(Object.keys(asked.requests).map((key) => [key, { action: 'accept' }]))
    const reply = await source.call({ ...call, state: asked.state, inputResponses }, testPort())

    expect(textOf(reply)).toBe('heard 1')
  })

  test('pages to visit are an error for a session-era caller, and need the capability of a modern one', async () => {
    const data = { elicitations: [{ mode: 'url', elicitationId: 'e', url: 'https://example.com', message: 'go' }] }
    const call: Answer = ({ res, body }) =>
      sendJson(res, 200, { jsonrpc: '2.0', id: body.id, error: { code: -32042, message: 'visit', data } })
    await using server = await rawServer(legacyAnswer({ 'tools/call': call }))
    await using source = httpSource(server.url)
    const old = caller({ key: 'old', era: 'legacy' })
    const unable = caller({ key: 'unable', clientCapabilities: { elicitation: { form: {} } } })

    const relayed = await source.call(toolCall('t', {}, { session: old }), testPort())
    const refused = await source.call(toolCall('t', {}, { session: unable }), testPort())
    const asked = inputOf(await source.call(toolCall('t'), testPort()))
    const inputResponses = { 'page-1': { action: 'decline' } }
    const declined = await source.call({ ...toolCall('t'), state: asked.state, inputResponses }, testPort())

    expect(relayed).toEqual({ kind: 'error', error: { code: -32042, message: 'visit', data } })
    expect(refused).toMatchObject({ kind: 'error', error: { code: -32021 } })
    expect(asked.requests['page-1']?.params).toEqual({ mode: 'url', url: 'https://example.com', message: 'go' })
    expect(declined).toMatchObject({ kind: 'complete', isError: true })
  })

  test('what the caller cannot answer never reaches it', async () => {
    const one = asking(1)
    await using server = await rawServer(legacyAnswer(one.answers))
    await using source = httpSource(server.url)

    const reply = await source.call(
      toolCall('t', {}, { session: caller({ clientCapabilities: { roots: {} } }) }),
      testPort(),
    )

    expect(textOf(reply)).toBe('heard 1')
    expect(one.heard[0]).toMatchObject({ code: -32601 })
  })

  test('the end of the session ends what is parked and tells the server', async () => {
    const cancelled = Promise.withResolvers<void>()
    const one = asking(1)
    const cancel: Answer = ({ res }) => {
      cancelled.resolve()
      res.writeHead(202).end()
    }
    await using server = await rawServer(legacyAnswer({ ...one.answers, 'notifications/cancelled': cancel }))
    await using source = httpSource(server.url)
    const call = toolCall('t')

    const asked = inputOf(await source.call(call, testPort()))
    await source.endSession('session-1')
    await cancelled.promise

    await expect(source.call({ ...call, state: asked.state }, testPort())).rejects.toMatchObject({
      kind: { code: 'tools/input-expired' },
    })
    expect(source.usage()).toEqual({ sessions: 0, parkedCalls: 0, processes: 0, subscriptions: 0 })
  })

  test('one that is taken back at once is never asked', async () => {
    const call: Answer = ({ res, body }) => {
      const lines = [
        { jsonrpc: '2.0', id: 'q', method: 'roots/list' },
        { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'q' } },
      ]
      res.writeHead(200, { 'content-type': 'text/event-stream' })
      res.write(lines.map((line) => `data: ${JSON.stringify(line)}\n\n`).join(''))
      const result = { jsonrpc: '2.0', id: body.id, result: TEXT('without') }
      setImmediate(() => res.end(`data: ${JSON.stringify(result)}\n\n`))
    }
    await using server = await rawServer(legacyAnswer({ 'tools/call': call }))
    await using source = httpSource(server.url)

    const reply = await source.call(toolCall('t'), testPort())

    expect(textOf(reply)).toBe('without')
  })
})
