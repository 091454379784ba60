import { randomUUID } from 'node:crypto'
import { NodeStreamableHTTPServerTransport } from '@modelcontextprotocol/node'
import { isInitializeRequest, McpServer } from '@modelcontextprotocol/server'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import type { JsonObject } from '#kernel'
import { caller, httpSource, listenOn, testPort, textOf, toolCall, type TestServer } from './testing.ts'

const never = new AbortController().signal

type Sessionful = TestServer & {
  readonly subscribed: (() => void)[]
  readonly sessions: Map<string, { mcp: McpServer; level: string | undefined }>
}

/** A session-era server of SDK v2 that the test can make speak at any time. */
async function sessionful(): Promise<Sessionful> {
  const sessions: Sessionful['sessions'] = new Map()
  const subscribed: (() => void)[] = []
  const transports = new Map<string, NodeStreamableHTTPServerTransport>()
  const server = await listenOn((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8')
      void handle(text === '' ? undefined : JSON.parse(text))
    })
    const handle = async (body: unknown) => {
      const id = req.headers['mcp-session-id']
      const known = typeof id === 'string' ? transports.get(id) : undefined
      if (known !== undefined) return known.handleRequest(req, res, body)
      if (!isInitializeRequest(body)) return void res.writeHead(id === undefined ? 400 : 404).end()
      const mcp = new McpServer(
        { name: 'sessionful', version: '1' },
        { capabilities: { logging: {}, resources: { subscribe: true }, tools: { listChanged: true } } },
      )
      mcp.registerTool('noop', { inputSchema: z.object({}) }, async () => ({ content: [{ type: 'text', text: 'ok' }] }))
      mcp.registerResource('one', 'test://one', {}, async () => ({ contents: [{ uri: 'test://one', text: '1' }] }))
      const session: { mcp: McpServer; level: string | undefined } = { mcp, level: undefined }
      mcp.server.setRequestHandler('resources/subscribe', async () => {
        subscribed.shift()?.()
        return {}
      })
      mcp.server.setRequestHandler('resources/unsubscribe', async () => ({}))
      mcp.server.setRequestHandler('logging/setLevel', async ({ params }) => {
        session.level = params.level
        return {}
      })
      const transport = new NodeStreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        onsessioninitialized: (created) => {
          transports.set(created, transport)
          sessions.set(created, session)
        },
      })
      transport.onclose = () => {
        transports.delete(transport.sessionId ?? '')
        sessions.delete(transport.sessionId ?? '')
      }
      await mcp.connect(transport)
      await transport.handleRequest(req, res, body)
    }
  })
  return { ...server, sessions, subscribed }
}

function outsideOf(heard: { method: string; params: JsonObject }[], answer: JsonObject) {
  const told = Promise.withResolvers<void>()
  const outside = {
    notify: (method: string, params: JsonObject) => {
      heard.push({ method, params })
      told.resolve()
    },
    ask: async (method: string, params: JsonObject) => {
      heard.push({ method, params })
      return answer
    },
  }
  return { outside, told: told.promise }
}

describe('what a session-era server says outside a call', () => {
  test('is asked of and told to the session-era client it belongs to', async () => {
    await using server = await sessionful()
    await using source = httpSource(server.url)
    const heard: { method: string; params: JsonObject }[] = []
    const { outside, told } = outsideOf(heard, { roots: [{ uri: 'file:///a' }] })
    const session = caller({ era: 'legacy', outside })
    await source.call(toolCall('noop', {}, { session }), testPort())
    const [upstream] = server.sessions.values()

    const roots = await upstream?.mcp.server.listRoots()
    await upstream?.mcp.server.sendLoggingMessage({ level: 'info', data: 'hello' })
    await told

    expect(roots?.roots).toEqual([{ uri: 'file:///a' }])
    expect(heard.map(({ method }) => method)).toEqual(['roots/list', 'notifications/message'])
  })

  test('is an error where the client is of the stateless era', async () => {
    await using server = await sessionful()
    await using source = httpSource(server.url)
    await source.call(toolCall('noop'), testPort())
    const [upstream] = server.sessions.values()

    await expect(upstream?.mcp.server.listRoots()).rejects.toThrow('nobody can be asked')
  })

  test('updates reach the follower until it stops', async () => {
    await using server = await sessionful()
    await using source = httpSource(server.url)
    const updates: JsonObject[] = []
    let wake = Promise.withResolvers<void>()
    const onUpdated = (params: JsonObject) => {
      updates.push(params)
      wake.resolve()
    }
    const end = await source.subscribe?.({ session: caller(), uri: 'test://one', onUpdated })
    const tell = () =>
      Promise.all([...server.sessions.values()].map(({ mcp }) => mcp.server.sendResourceUpdated({ uri: 'test://one' })))

    await tell()
    await wake.promise
    const usage = source.usage()
    await end?.()
    await tell()
    wake = Promise.withResolvers()
    await source.call(toolCall('noop'), testPort())

    expect(usage.subscriptions).toBe(1)
    expect(source.usage().subscriptions).toBe(0)
    expect(updates.length).toBeLessThanOrEqual(2)
    expect(updates[0]).toEqual({ uri: 'test://one' })
  })

  test('what is followed is followed again after the server lost the session', async () => {
    await using server = await sessionful()
    await using source = httpSource(server.url)
    const updated = Promise.withResolvers<JsonObject>()
    await source.subscribe?.({ session: caller(), uri: 'test://one', onUpdated: updated.resolve })
    const [lost] = server.sessions.values()
    const again = new Promise<void>((resolve) => server.subscribed.push(resolve))

    await lost?.mcp.close()
    await again
    await Promise.all(
      [...server.sessions.values()].map(({ mcp }) => mcp.server.sendResourceUpdated({ uri: 'test://one' })),
    )

    expect(await updated.promise).toEqual({ uri: 'test://one' })
    expect(source.usage()).toMatchObject({ sessions: 1, subscriptions: 1 })
  })

  test('the level of log messages is raised to the most verbose that a call needs', async () => {
    await using server = await sessionful()
    await using source = httpSource(server.url)
    const levels: (string | undefined)[] = []
    const level = () => [...server.sessions.values()][0]?.level

    await source.call(toolCall('noop', {}, { logLevel: 'warning' }), testPort())
    levels.push(level())
    await source.call(toolCall('noop', {}, { logLevel: 'debug' }), testPort())
    levels.push(level())
    const reply = await source.call(toolCall('noop', {}, { logLevel: 'error' }), testPort())
    levels.push(level())

    expect(textOf(reply)).toBe('ok')
    expect(levels).toEqual(['warning', 'debug', 'debug'])
  })

  test('a changed list is told once, by the session that lists', async () => {
    await using server = await sessionful()
    await using source = httpSource(server.url)
    await source.sync(never)
    await source.call(toolCall('noop'), testPort())
    const told = Promise.withResolvers<void>()

    for (const { mcp } of server.sessions.values()) mcp.sendToolListChanged()
    setTimeout(told.resolve, 400)
    await told.promise

    expect(server.sessions.size).toBe(2)
    expect(source.heard.listChanged).toBe(1)
  })
})
