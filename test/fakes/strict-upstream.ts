/**
 * A server that believes the gateway and nobody else: every request must bring a `Gatehouse-Identity` made for it, and
 * a session of the session era, once opened by somebody, takes no request of anybody else. Its one tool, `whoami`,
 * answers with the claims. Speaks either era, or HTTP+SSE.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isJsonObject, type JsonObject } from '#kernel'
import type { Checked, IdentityCheck } from './identity-check.ts'
import { listen, parseObject, readText, sendJson, type Listening } from './listen.ts'
import { createJournal, type Journal } from './observe.ts'

export type StrictUpstream = Listening & {
  /** Whom it believes from now on; before that nobody. */
  trust(check: IdentityCheck): void
  /** Every request: what it was, and who made it or why it was refused. */
  readonly seen: Journal<{ readonly what: string; readonly checked: Checked }>
}

type Kind = 'modern' | 'legacy' | 'sse'
type Session = { readonly owner: string | undefined; stream: ServerResponse | undefined }

export async function startStrictUpstream(kind: Kind): Promise<StrictUpstream> {
  const seen: StrictUpstream['seen'] = createJournal()
  const sessions = new Map<string, Session>()
  let check: IdentityCheck = async () => ({ reason: 'nobody is trusted yet' })

  const handle = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const message = parseObject(await readText(req)) ?? {}
    const session = sessions.get(sessionIdOf(req) ?? '')
    const checked = ofSession(session, await check(req.headers['gatehouse-identity']))
    seen.add({ what: textOf(message['method']) ?? req.method ?? '', checked })
    if ('reason' in checked) return sendJson(res, 401, { error: checked.reason })
    if (kind === 'modern') return answerModern(res, message, checked.claims)
    if (kind === 'sse') return answerSse({ req, res, sessions, message, claims: checked.claims })
    return answerLegacy({ req, res, sessions, message, claims: checked.claims })
  }
  const http = await listen((req, res) => void handle(req, res).catch(() => res.destroy()), {
    path: kind === 'sse' ? '/sse' : '/mcp',
  })
  return { ...http, seen, trust: (trusted) => void (check = trusted) }
}

type Going = {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly sessions: Map<string, Session>
  readonly message: JsonObject
  readonly claims: JsonObject
}

function ofSession(session: Session | undefined, checked: Checked): Checked {
  if (session === undefined || 'reason' in checked || session.owner === checked.claims['sub']) return checked
  return { reason: 'somebody else’s session' }
}

function sessionIdOf(req: IncomingMessage): string | undefined {
  const header = req.headers['mcp-session-id']
  return typeof header === 'string' ? header : (new URL(req.url ?? '/', 'http://x').searchParams.get('s') ?? undefined)
}

function answerModern(res: ServerResponse, { id, method }: JsonObject, claims: JsonObject): void {
  const cache = { resultType: 'complete', ttlMs: 0, cacheScope: 'private' }
  const found: Record<string, JsonObject> = {
    'server/discover': { supportedVersions: ['2026-07-28'], capabilities: { tools: {} }, ...cache },
    'tools/list': { tools: [WHOAMI], ...cache },
    'tools/call': { ...said(claims), resultType: 'complete' },
  }
  const result = found[textOf(method) ?? '']
  if (result === undefined) return sendJson(res, 404, { jsonrpc: '2.0', id, error: NOT_FOUND })
  sendJson(res, 200, { jsonrpc: '2.0', id, result })
}

function answerLegacy({ req, res, sessions, message, claims }: Going): void {
  if (req.method === 'DELETE') return void res.writeHead(sessions.delete(sessionIdOf(req) ?? '') ? 204 : 404).end()
  if (req.method === 'GET') return res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
  const { method } = message
  // What says nothing of a session era must not look like one.
  if (method !== 'initialize' && !sessions.has(sessionIdOf(req) ?? ''))
    return sendJson(res, 400, { error: 'no session' })
  if (message['id'] === undefined || method === undefined) return void res.writeHead(202).end()
  const id = randomUUID()
  if (method === 'initialize') sessions.set(id, { owner: textOf(claims['sub']), stream: undefined })
  const headers: Record<string, string> = method === 'initialize' ? { 'mcp-session-id': id } : {}
  sendJson(res, 200, legacyReply(message, claims), headers)
}

function answerSse({ req, res, sessions, message, claims }: Going): void {
  if (req.method === 'GET') {
    const id = randomUUID()
    sessions.set(id, { owner: textOf(claims['sub']), stream: res })
    res.writeHead(200, { 'content-type': 'text/event-stream' })
    return void res.write(`event: endpoint\ndata: /messages?s=${id}\n\n`)
  }
  const stream = sessions.get(sessionIdOf(req) ?? '')?.stream
  if (stream === undefined) return sendJson(res, 405, { error: 'not here' })
  res.writeHead(202).end()
  if (message['id'] === undefined || message['method'] === undefined) return
  stream.write(`event: message\ndata: ${JSON.stringify(legacyReply(message, claims))}\n\n`)
}

/** What a server of the session era answers, also one that is a program. */
export function legacyReply({ id, method }: JsonObject, claims: JsonObject): JsonObject {
  const results: Record<string, JsonObject> = {
    initialize: {
      protocolVersion: '2025-06-18',
      capabilities: { tools: {} },
      serverInfo: { name: 'strict', version: '1.0.0' },
    },
    ping: {},
    'tools/list': { tools: [WHOAMI] },
    'tools/call': said(claims),
  }
  const result = results[textOf(method) ?? '']
  return result === undefined ? { jsonrpc: '2.0', id, error: NOT_FOUND } : { jsonrpc: '2.0', id, result }
}

function said(claims: JsonObject): JsonObject {
  return { content: [{ type: 'text', text: JSON.stringify(claims) }] }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** The claims in the answer of `whoami`. */
export function claimsIn(text: string): JsonObject {
  const claims: unknown = JSON.parse(text)
  return isJsonObject(claims) ? claims : {}
}

const NOT_FOUND = { code: -32601, message: 'Method not found' }
const WHOAMI = { name: 'whoami', description: 'Says who calls.', inputSchema: { type: 'object' } }
