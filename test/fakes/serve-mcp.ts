/**
 * Serves one set of MCP tools over streamable HTTP in the era(s) asked for, on the official SDK: sessions for clients
 * up to 2025-11-25, stateless for 2026-07-28, or both at one URL. Every well-behaved HTTP fake stands on this file;
 * the ones that misbehave on purpose are written on raw `node:http` (`bad-neighbours.ts`).
 */
import { randomUUID } from 'node:crypto'
import {
  localhostHostValidation,
  localhostOriginValidation,
  NodeStreamableHTTPServerTransport,
  toNodeHandler,
  toWebRequest,
} from '@modelcontextprotocol/node'
import {
  createMcpHandler,
  isInitializeRequest,
  isLegacyRequest,
  type McpServer,
  type ServerNotifier,
} from '@modelcontextprotocol/server'
import { isJsonObject, type JsonObject } from '#kernel'
import { createMemoryEventStore } from './event-store.ts'
import { listen, readText, sendJson, type Listening } from './listen.ts'
import { createJournal, type Journal } from './observe.ts'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'

export type Era = 'legacy' | 'modern'
export type Eras = Era | 'both'

/** One HTTP exchange as the fake saw it, before the SDK looked at it. */
export type SeenRequest = {
  readonly http: string
  readonly rpc: string | undefined
  readonly era: Era
  readonly headers: IncomingHttpHeaders
}
/** Who introduced itself: once per session in the legacy era, once per request in the modern one. */
export type SeenClient = { readonly era: Era; readonly clientInfo: unknown; readonly capabilities: unknown }

export type McpFake = Listening & {
  readonly requests: Journal<SeenRequest>
  readonly clients: Journal<SeenClient>
  readonly sessions: { readonly opened: number; readonly closed: number; readonly live: number }
  /** The servers of the legacy sessions that are open now, by session id. */
  readonly legacyServers: ReadonlyMap<string, McpServer>
  /** Tells the open `subscriptions/listen` streams of modern clients. Legacy sessions are told through their server. */
  readonly notify: ServerNotifier
  /** Forgets every legacy session, as a restarted server would: their ids answer 404 from now on. */
  forgetSessions(): Promise<void>
}

type Session = { readonly transport: NodeStreamableHTTPServerTransport; readonly mcp: McpServer }

type ServeOptions = {
  /** Called once per legacy session and once per modern request. */
  build: (era: Era) => McpServer
  eras?: Eras
  port?: number
  /** Legacy streams carry event ids and can be resumed with `Last-Event-ID`. */
  resumable?: boolean
  /** Answers modern requests that the SDK cannot; false leaves one to it. */
  answerModern?: (exchange: { req: IncomingMessage; res: ServerResponse; body: unknown }) => boolean
  /** Whoever does not send this bearer token is turned away with 401. */
  token?: string
}

export async function serveMcp(options: ServeOptions): Promise<McpFake> {
  const { build, eras = 'both', port = 0, resumable = false, token } = options
  const requests = createJournal<SeenRequest>()
  const clients = createJournal<SeenClient>()
  const legacy = createLegacyLeg(() => build('legacy'), resumable)
  const modern = createMcpHandler(() => build('modern'), { legacy: 'reject' })
  const serveModern = toNodeHandler(modern)
  const isLocal = [localhostHostValidation(), localhostOriginValidation()]

  const handle = async (req: IncomingMessage, res: ServerResponse) => {
    if (!isLocal.every((check) => check(req, res))) return
    if (token !== undefined && req.headers.authorization !== `Bearer ${token}`)
      return sendJson(res, 401, rpcError(-32001, 'Unauthorized'))
    const read = await readBody(req, res)
    if (read === 'answered') return
    const { body } = read
    const era = eras === 'both' ? await eraOf(req, body) : eras
    observe({ req, body, era, requests, clients })
    if (era === 'legacy') return legacy.handle(req, res, body)
    if (options.answerModern?.({ req, res, body }) === true) return
    return serveModern(forSdk(req), res, body)
  }
  const http = await listen(
    (req, res) => {
      handle(req, res).catch((error: unknown) => fail(res, error))
    },
    { port },
  )
  const close = async () => {
    await Promise.all([modern.close(), legacy.forgetSessions()])
    await http.close()
  }
  return {
    ...http,
    requests,
    clients,
    sessions: legacy.counts,
    legacyServers: legacy.servers,
    notify: modern.notify,
    forgetSessions: legacy.forgetSessions,
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** One transport and one server per session id, as a sessionful deployment of the SDK has it. */
function createLegacyLeg(build: () => McpServer, resumable: boolean) {
  const sessions = new Map<string, Session>()
  const servers = new Map<string, McpServer>()
  const count = { opened: 0, closed: 0 }

  const open = async () => {
    const mcp = build()
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => {
        count.opened += 1
        sessions.set(id, { transport, mcp })
        servers.set(id, mcp)
      },
      ...(resumable ? { eventStore: createMemoryEventStore(), retryInterval: 200 } : {}),
    })
    transport.onclose = () => {
      const id = transport.sessionId
      if (id === undefined || !sessions.delete(id)) return
      servers.delete(id)
      count.closed += 1
    }
    await mcp.connect(transport)
    return transport
  }
  const handle = async (req: IncomingMessage, res: ServerResponse, body: unknown) => {
    const id = req.headers['mcp-session-id']
    if (typeof id === 'string') {
      const session = sessions.get(id)
      if (session === undefined) return sendJson(res, 404, rpcError(-32001, 'Session not found'))
      return session.transport.handleRequest(req, res, body)
    }
    if (req.method === 'POST' && isInitializeRequest(body)) return (await open()).handleRequest(req, res, body)
    sendJson(res, 400, rpcError(-32000, 'Bad Request: Mcp-Session-Id header is required'))
  }
  return {
    handle,
    servers,
    counts: {
      get opened() {
        return count.opened
      },
      get closed() {
        return count.closed
      },
      get live() {
        return sessions.size
      },
    },
    forgetSessions: async () => {
      await Promise.all([...sessions.values()].map((session) => session.transport.close()))
    },
  }
}

async function eraOf(req: IncomingMessage, body: unknown): Promise<Era> {
  if (req.method !== 'POST') return 'legacy'
  return (await isLegacyRequest(await toWebRequest(forSdk(req), body), body)) ? 'legacy' : 'modern'
}

/** The SDK wants method and url to be there, which they are on every request a server receives. */
export function forSdk(req: IncomingMessage) {
  return Object.assign(req, { method: req.method ?? 'GET', url: req.url ?? '/' })
}

async function readBody(req: IncomingMessage, res: ServerResponse): Promise<{ body: unknown } | 'answered'> {
  if (req.method !== 'POST') return { body: undefined }
  const text = await readText(req)
  try {
    return { body: JSON.parse(text) }
  } catch {
    sendJson(res, 400, rpcError(-32700, 'Parse error: the request body is not valid JSON'))
    return 'answered'
  }
}

function observe(seen: {
  req: IncomingMessage
  body: unknown
  era: Era
  requests: Journal<SeenRequest>
  clients: Journal<SeenClient>
}): void {
  const message = isJsonObject(seen.body) ? seen.body : {}
  const rpc = typeof message['method'] === 'string' ? message['method'] : undefined
  seen.requests.add({ http: seen.req.method ?? '', rpc, era: seen.era, headers: seen.req.headers })
  const params = objectAt(message, 'params')
  if (seen.era === 'legacy' && rpc === 'initialize') {
    seen.clients.add({ era: 'legacy', clientInfo: params['clientInfo'], capabilities: params['capabilities'] })
  }
  if (seen.era === 'modern') {
    const meta = objectAt(params, '_meta')
    const clientInfo = meta['io.modelcontextprotocol/clientInfo']
    seen.clients.add({ era: 'modern', clientInfo, capabilities: meta['io.modelcontextprotocol/clientCapabilities'] })
  }
}

function objectAt(parent: JsonObject, key: string): JsonObject {
  const value = parent[key]
  return isJsonObject(value) ? value : {}
}

function rpcError(code: number, message: string): JsonObject {
  return { jsonrpc: '2.0', id: null, error: { code, message } }
}

function fail(res: ServerResponse, error: unknown): void {
  if (res.headersSent) return void res.destroy()
  sendJson(res, 500, rpcError(-32603, error instanceof Error ? error.message : String(error)))
}
