/**
 * Upstreams that misbehave on purpose, each in one way, written on raw `node:http` and `node:net` because no SDK can be
 * talked into it. One of them among healthy upstreams must not slow down or empty anyone else's list.
 */
import { createServer, type Socket } from 'node:net'
import { isJsonObject, type Json, type JsonObject } from '#kernel'
import { listen, parseObject, readText, sendJson, type Listening } from './listen.ts'
import { createJournal, type Journal } from './observe.ts'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'

export type Seen = { readonly http: string; readonly rpc: string | undefined; readonly headers: IncomingHttpHeaders }
export type Neighbour = Listening & { readonly seen: Journal<Seen> }

/** Accepts connections and requests, and never answers a byte. */
export function startHanging(): Promise<Neighbour> {
  return startNeighbour(() => undefined)
}

/** Answers the handshake and `tools/list` like anyone, and hangs in `tools/call`. */
export function startHangingInCalls(): Promise<Neighbour> {
  return startNeighbour((message, res) => {
    if (message['method'] !== 'tools/call') answerPolitely(message, res)
  })
}

/** Answers every request with this status (500 unless named) and a body that is not JSON-RPC. */
export function startFailing(status = 500): Promise<Neighbour> {
  return startNeighbour((_message, res) => sendJson(res, status, { oops: 'the fake fails on purpose' }))
}

/** Says 200 and JSON, and sends something else. */
export function startGarbage(body = '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"na'): Promise<Neighbour> {
  return startNeighbour((_message, res) => {
    res.writeHead(200, { 'content-type': 'application/json' }).end(body)
  })
}

/** Answers with valid JSON-RPC that is not what was asked for: another id, a wrong shape, a result and an error. */
export function startConfused(kind: 'other-id' | 'wrong-shape' | 'both'): Promise<Neighbour> {
  const reply = (message: JsonObject): Json => {
    const id = message['id'] ?? null
    switch (kind) {
      case 'other-id':
        return { jsonrpc: '2.0', id: 987_654, result: {} }
      case 'wrong-shape':
        return { jsonrpc: '2.0', id, result: { tools: 'none', content: 7, protocolVersion: [] } }
      case 'both':
        return { jsonrpc: '2.0', id, result: {}, error: { code: -1, message: 'and an error too' } }
    }
  }
  return startNeighbour((message, res) => sendJson(res, 200, reply(message)))
}

/** Sends a body that never ends, as fast as it is read: `json` inside one string, `sse` as endless comments. */
export function startEndless(kind: 'json' | 'sse'): Promise<Neighbour> {
  return startNeighbour((_message, res) => {
    res.writeHead(200, { 'content-type': kind === 'json' ? 'application/json' : 'text/event-stream' })
    const chunk = kind === 'json' ? 'a'.repeat(64 * 1024) : `: ${'a'.repeat(64 * 1024)}\n\n`
    if (kind === 'json') res.write('{"jsonrpc":"2.0","id":1,"result":{"text":"')
    const pump = () => {
      while (!res.destroyed && res.write(chunk)) continue
    }
    res.on('drain', pump)
    pump()
  })
}

/** A well-behaved server with no tools at all: connected, and yet not healthy. */
export function startToolless(): Promise<Neighbour> {
  return startNeighbour((message, res) => answerPolitely(message, res, []))
}

/** Resets the connection: at once, or after it has read the request. */
export async function startResetting(
  when: 'at-once' | 'after-request',
): Promise<Listening & { connections(): number }> {
  let connections = 0
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    connections += 1
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => sockets.delete(socket))
    if (when === 'at-once') socket.resetAndDestroy()
    else socket.once('data', () => socket.resetAndDestroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the fake is not listening on a port')
  const close = () => {
    for (const socket of sockets) socket.destroy()
    return new Promise<void>((resolve) => server.close(() => resolve()))
  }
  const { port } = address
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    port,
    connections: () => connections,
    close,
    [Symbol.asyncDispose]: close,
  }
}

/**
 * Sends every request to another origin. `elsewhere` is that origin; what arrived there tells whether credentials
 * followed. 307 and 308 keep method and body, 302 and 303 turn a POST into a GET.
 */
export async function startRedirecting(
  status: 302 | 303 | 307 | 308 = 307,
): Promise<Neighbour & { elsewhere: Neighbour }> {
  const elsewhere = await startNeighbour((message, res) => answerPolitely(message, res))
  const origin = await startNeighbour((_message, res) => {
    res.writeHead(status, { location: elsewhere.url }).end()
  })
  const close = async () => {
    await Promise.all([origin.close(), elsewhere.close()])
  }
  return { ...origin, elsewhere, close, [Symbol.asyncDispose]: close }
}

export type ExpiringServer = Neighbour & {
  readonly opened: number
  /** Every session that is open now answers 404 from here on. */
  expireSessions(): void
}

/** Sessions that end by themselves after so many requests, or on command: a client must open a new one. */
export async function startExpiring(afterRequests = Number.POSITIVE_INFINITY): Promise<ExpiringServer> {
  const used = new Map<string, number>()
  let opened = 0
  const neighbour = await startNeighbour((message, res, req) => {
    const id = req.headers['mcp-session-id']
    if (message['method'] === 'initialize') {
      opened += 1
      used.set(`session-${opened}`, 0)
      return answerPolitely(message, res, echoTools, { 'mcp-session-id': `session-${opened}` })
    }
    const times = typeof id === 'string' ? used.get(id) : undefined
    if (typeof id !== 'string' || times === undefined || times >= afterRequests) {
      if (typeof id === 'string') used.delete(id)
      return sendJson(res, typeof id === 'string' ? 404 : 400, rpcError(message, -32001, 'Session not found'))
    }
    used.set(id, times + 1)
    answerPolitely(message, res)
  })
  return {
    ...neighbour,
    get opened() {
      return opened
    },
    expireSessions: () => used.clear(),
  }
}

export type RestartableServer = {
  readonly url: string
  readonly isUp: boolean
  stop(): Promise<void>
  /** Comes back at the same port, as a new process would: with nothing remembered. */
  start(): Promise<void>
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Any server that can be started at a given port, made to stop and come back there on command. */
export async function startRestartable(startAt: (port: number) => Promise<Listening>): Promise<RestartableServer> {
  let current: Listening | undefined = await startAt(0)
  const { url, port } = current
  const stop = async () => {
    const stopping = current
    current = undefined
    await stopping?.close()
  }
  return {
    url,
    get isUp() {
      return current !== undefined
    },
    stop,
    start: async () => {
      current ??= await startAt(port)
    },
    close: stop,
    [Symbol.asyncDispose]: stop,
  }
}

type Answer = (message: JsonObject, res: ServerResponse, req: IncomingMessage) => void

async function startNeighbour(answer: Answer): Promise<Neighbour> {
  const seen = createJournal<Seen>()
  const handle = async (req: IncomingMessage, res: ServerResponse) => {
    const message = parseObject(await readText(req)) ?? {}
    seen.add({ http: req.method ?? '', rpc: rpcOf(message), headers: req.headers })
    res.on('error', () => undefined)
    answer(message, res, req)
  }
  const http = await listen((req, res) => void handle(req, res).catch(() => res.destroy()))
  return { ...http, seen }
}

const echoTools: Json = [
  {
    name: 'echo',
    description: 'Echoes a text.',
    inputSchema: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
  },
]

/** The least that a legacy client needs: the handshake, a tool list and an echo. Anything modern is refused. */
function answerPolitely(
  message: JsonObject,
  res: ServerResponse,
  tools = echoTools,
  headers: Record<string, string> = {},
) {
  if (message['id'] === undefined) return void res.writeHead(message['method'] === undefined ? 405 : 202).end()
  const params = isJsonObject(message['params']) ? message['params'] : {}
  const result = (value: Json) => sendJson(res, 200, { jsonrpc: '2.0', id: message['id'], result: value }, headers)
  switch (rpcOf(message) ?? '') {
    case 'initialize':
      return result({
        protocolVersion: '2025-06-18',
        capabilities: { tools: {} },
        serverInfo: { name: 'neighbour', version: '1.0.0' },
      })
    case 'ping':
      return result({})
    case 'tools/list':
      return result({ tools })
    case 'tools/call':
      return result({ content: [{ type: 'text', text: JSON.stringify(params['arguments'] ?? {}) }] })
    default:
      sendJson(res, 200, rpcError(message, -32601, 'Method not found'), headers)
  }
}

function rpcOf(message: JsonObject): string | undefined {
  return typeof message['method'] === 'string' ? message['method'] : undefined
}

function rpcError(message: JsonObject, code: number, text: string): JsonObject {
  return { jsonrpc: '2.0', id: message['id'] ?? null, error: { code, message: text } }
}
