/**
 * Serves MCP over the transport of 2024-11-05: GET `/sse` opens a stream whose first event names the URL to post to.
 * A POST to `/sse` itself answers 405, which is a client's sign to fall back to this transport.
 */
import { SSEServerTransport } from '@modelcontextprotocol/server-legacy/sse'
import { listen, sendJson, type Listening } from './listen.ts'
import { createJournal, type Journal } from './observe.ts'
import type { McpServer } from '@modelcontextprotocol/server'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'

export type SseFake = Listening & {
  readonly requests: Journal<{ readonly http: string; readonly path: string; readonly headers: IncomingHttpHeaders }>
  readonly sessions: { readonly opened: number; readonly live: number }
  /** The servers of the streams that are open now. */
  servers(): Iterable<McpServer>
  /** Cuts all streams, as a restart would. */
  dropStreams(): void
}

type Stream = { readonly transport: SSEServerTransport; readonly res: ServerResponse; readonly mcp: McpServer }

/** `build` is called once per stream. */
export async function serveSse({ build, port = 0 }: { build: () => McpServer; port?: number }): Promise<SseFake> {
  const requests: SseFake['requests'] = createJournal()
  const streams = new Map<string, Stream>()
  let opened = 0

  const openStream = async (res: ServerResponse) => {
    const transport = new SSEServerTransport('/messages', res)
    const mcp = build()
    streams.set(transport.sessionId, { transport, res, mcp })
    opened += 1
    res.once('close', () => streams.delete(transport.sessionId))
    await mcp.connect(transport)
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
  const http = await listen((req, res) => void handle(req, res).catch(() => res.destroy()), { port, path: '/sse' })
  return {
    ...http,
    requests,
    sessions: {
      get opened() {
        return opened
      },
      get live() {
        return streams.size
      },
    },
    servers: () => streams.values().map(({ mcp }) => mcp),
    dropStreams: () => streams.forEach(({ res }) => res.destroy()),
  }
}
