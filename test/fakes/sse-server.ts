/**
 * Stands for upstreams that were never moved off the transport of 2024-11-05: GET `/sse` opens a stream whose first
 * event names the URL to post to. A POST to `/sse` itself answers 405, which is a client's sign to fall back to this
 * transport. Its tools echo, report progress, and ask the client's model and user.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { McpServer } from '@modelcontextprotocol/server'
import { SSEServerTransport } from '@modelcontextprotocol/server-legacy/sse'
import * as z from 'zod'
import { listen, sendJson, type Listening } from './listen.ts'
import { createJournal, type Journal } from './observe.ts'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'

export type SseServer = Listening & {
  readonly calls: Journal<{ readonly tool: string; readonly sessionId: string | undefined }>
  readonly requests: Journal<{ readonly http: string; readonly path: string; readonly headers: IncomingHttpHeaders }>
  readonly sessions: { readonly opened: number; readonly live: number }
  /** Cuts all streams, as a restart would. */
  dropStreams(): void
}

export async function startSseServer(options: { port?: number; protocolVersions?: string[] } = {}): Promise<SseServer> {
  const calls: SseServer['calls'] = createJournal()
  const requests: SseServer['requests'] = createJournal()
  const streams = new Map<string, { transport: SSEServerTransport; res: ServerResponse }>()
  let opened = 0

  const openStream = async (res: ServerResponse) => {
    const transport = new SSEServerTransport('/messages', res)
    streams.set(transport.sessionId, { transport, res })
    opened += 1
    res.once('close', () => streams.delete(transport.sessionId))
    await buildServer(calls, options.protocolVersions ?? ['2024-11-05']).connect(transport)
  }
  const handle = async (req: IncomingMessage, res: ServerResponse) => {
    const url = new URL(req.url ?? '/', 'http://fake')
    requests.add({ http: req.method ?? '', path: url.pathname, headers: req.headers })
    if (url.pathname === '/sse' && req.method === 'GET') return openStream(res)
    if (url.pathname === '/messages' && req.method === 'POST') {
      const stream = streams.get(url.searchParams.get('sessionId') ?? '')
      return stream === undefined ? sendJson(res, 404, 'no such session') : stream.transport.handlePostMessage(req, res)
    }
    sendJson(res, url.pathname === '/sse' ? 405 : 404, 'not here')
  }
  const http = await listen((req, res) => void handle(req, res).catch(() => res.destroy()), {
    port: options.port ?? 0,
    path: '/sse',
  })
  return {
    ...http,
    calls,
    requests,
    sessions: {
      get opened() {
        return opened
      },
      get live() {
        return streams.size
      },
    },
    dropStreams: () => streams.forEach(({ res }) => res.destroy()),
  }
}

function buildServer(calls: SseServer['calls'], supportedProtocolVersions: string[]): McpServer {
  const mcp = new McpServer(
    { name: 'sse-server', version: '1.0.0' },
    { capabilities: { logging: {} }, supportedProtocolVersions },
  )
  const echo = { description: 'Echoes a text.', inputSchema: z.object({ text: z.string() }) }
  mcp.registerTool('echo', echo, ({ text }, ctx) => {
    calls.add({ tool: 'echo', sessionId: ctx.sessionId })
    return answer(text)
  })
  mcp.registerTool('count_down', { description: 'Reports progress three times.' }, async (ctx) => {
    calls.add({ tool: 'count_down', sessionId: ctx.sessionId })
    const progressToken = ctx.mcpReq._meta?.progressToken
    for (const progress of [1, 2, 3]) {
      if (progressToken !== undefined) {
        await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 3 } })
      }
      await delay(10)
    }
    return answer('counted')
  })
  mcp.registerTool('ask_model', { description: 'Asks the model of the client.' }, async (ctx) => {
    calls.add({ tool: 'ask_model', sessionId: ctx.sessionId })
    const question = { role: 'user', content: { type: 'text', text: 'Say yes' } } as const
    const reply = await ctx.mcpReq.requestSampling({ messages: [question], maxTokens: 10 })
    return answer(`model: ${JSON.stringify(reply.content)}`)
  })
  mcp.registerTool('ask_user', { description: 'Asks the user.' }, async (ctx) => {
    calls.add({ tool: 'ask_user', sessionId: ctx.sessionId })
    const requestedSchema = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] } as const
    const { type, properties } = requestedSchema
    const reply = await ctx.mcpReq.elicitInput({ message: 'Who is there?', requestedSchema: { type, properties } })
    return answer(`user: ${reply.action} ${JSON.stringify(reply.content ?? {})}`)
  })
  return mcp
}

function answer(text: string) {
  return { content: [{ type: 'text' as const, text }] }
}
