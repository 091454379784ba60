import type { Identify } from '../../../source.ts'
import { identityHeader } from '../identity.ts'
import type { Link, LinkEvents, LinkRequest, LinkResponse, OpenLink, ServerMessage } from '../link.ts'
import { stringAt } from '../json.ts'
import { brokenReply, refused } from '../reasons.ts'
import { exchange, type Wire, type WireEnd } from '../wire/exchange.ts'
import type { Answer } from '../wire/message.ts'
import type { PostEnd } from '../wire/post.ts'
import { WrongEra } from '../wrong-era.ts'
import { judgeRefusal } from './judge-refusal.ts'
import { postAndResume } from './resume.ts'
import { ServerStream, type StreamOffer } from './server-stream.ts'
import { SessionGone } from './session-gone.ts'
import { toServerMessage } from './to-server-message.ts'

/** Streamable HTTP, 2025-03-26 to 2025-11-25. `offer` remembers over all links whether the server has a GET stream. */
export function createHttpOpenLink(wire: Wire, offer: StreamOffer): OpenLink {
  return async ({ events, identity }) => new HttpLink(wire, offer, { events, identity })
}

const CLOSE_WAIT_MS = 10_000

class HttpLink implements Link {
  readonly closed: Promise<string>
  readonly #wire: Wire
  readonly #offer: StreamOffer
  readonly #events: LinkEvents
  readonly #identity: Identify | undefined
  readonly #die: (reason: string) => void
  #nextId = 0
  #session: Readonly<Record<string, string>> = {}
  #stream: ServerStream | undefined
  #isClosed = false

  constructor(wire: Wire, offer: StreamOffer, own: { events: LinkEvents; identity: Identify | undefined }) {
    const { promise, resolve } = Promise.withResolvers<string>()
    this.closed = promise
    this.#die = resolve
    this.#wire = wire
    this.#offer = offer
    this.#events = own.events
    this.#identity = own.identity
  }

  async request(request: LinkRequest): Promise<LinkResponse> {
    this.#nextId += 1
    const id = this.#nextId
    const { method, signal } = request
    const mayCancel = method !== 'initialize' && !signal.aborted
    try {
      const end = await this.#post(id, request)
      if (end.kind === 'refused') return this.#readRefusal(end, method)
      if (end.kind === 'unanswered') throw brokenReply(this.#wire.server, 'ended its answer before the result')
      if (method === 'initialize') this.#learn(end)
      return toResponse(end.answer)
    } catch (error) {
      if (mayCancel && signal.aborted) void this.#cancel(id, signal.reason)
      throw error
    }
  }

  async send(message: Parameters<Link['send']>[0]): Promise<void> {
    if ('method' in message && message.method === 'notifications/initialized') this.#openStream()
    const end = await this.#deliver({ jsonrpc: '2.0', ...message })
    if (end.kind === 'failed') throw end.error
    if (end.kind === 'refused') throw refused(this.#wire.server, end.status)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#end('closed by us')
    if (this.#session['mcp-session-id'] === undefined) return
    await new Promise<void>((resolve) => {
      const close = exchange(this.#wire, { method: 'DELETE', headers: this.#headers() }, { ended: () => resolve() })
      setTimeout(() => close(new Error('the server did not answer DELETE')), CLOSE_WAIT_MS).unref()
    })
  }

  #deliver(message: object): Promise<WireEnd> {
    return new Promise((resolve) => {
      const headers = {
        ...this.#headers(),
        accept: 'application/json, text/event-stream',
        'content-type': 'application/json',
      }
      exchange(this.#wire, { method: 'POST', headers, body: JSON.stringify(message) }, { ended: resolve })
    })
  }

  #post(id: number, request: LinkRequest): Promise<PostEnd> {
    const { method, params, signal, maxBytes, identity = this.#identity } = request
    const session = this.#session
    return postAndResume(this.#wire, {
      id,
      // Anew whenever it is read: an answer may be resumed when the first token has long ended.
      get headers() {
        return { ...session, ...identityHeader(identity) }
      },
      body: JSON.stringify({ jsonrpc: '2.0', id, method, params }),
      signal,
      maxBytes,
      onMessage: (message) => {
        const received = toServerMessage(message)
        if (received !== undefined) request.onMessage?.(received)
      },
    })
  }

  #readRefusal({ status, error }: Extract<PostEnd, { kind: 'refused' }>, method: string): LinkResponse {
    const { server } = this.#wire
    const hasSession = this.#session['mcp-session-id'] !== undefined
    switch (judgeRefusal({ status, error, hasSession, isInitialize: method === 'initialize' })) {
      case 'gone':
        this.#end('the server no longer knows the session')
        throw new SessionGone(server)
      case 'wrong-era':
        throw new WrongEra(server)
      case 'error':
        if (error !== undefined) return { error }
        throw refused(server, status)
      case 'refused':
        throw refused(server, status)
    }
  }

  #learn(end: Extract<PostEnd, { kind: 'answer' }>): void {
    if (end.answer.kind === 'error') return
    const version = stringAt(end.answer.result.value(), 'protocolVersion')
    const id = end.headers['mcp-session-id']
    this.#session = {
      ...(typeof id === 'string' && { 'mcp-session-id': id }),
      ...(version !== undefined && { 'mcp-protocol-version': version }),
    }
  }

  /** Before `initialized` is delivered: some servers ask at once, on the GET stream, and lose what finds none. */
  #openStream(): void {
    if (this.#session['mcp-session-id'] === undefined || this.#offer.isRefused) return
    this.#stream = new ServerStream(this.#wire, () => this.#headers(), {
      offer: this.#offer,
      message: (message: ServerMessage) => this.#events.message(message),
      gone: () => this.#end('the server no longer knows the session'),
    })
    this.#stream.open()
  }

  /** Of what is sent outside of requests: the link belongs to one caller alone. */
  #headers(): Record<string, string> {
    return { ...this.#session, ...identityHeader(this.#identity) }
  }

  async #cancel(requestId: number, reason: unknown): Promise<void> {
    if (this.#isClosed) return
    const params = { requestId, reason: reason instanceof Error ? reason.message : 'cancelled' }
    await this.#deliver({ jsonrpc: '2.0', method: 'notifications/cancelled', params })
  }

  #end(reason: string): void {
    this.#isClosed = true
    this.#stream?.close()
    this.#die(reason)
  }
}

function toResponse(answer: Answer): LinkResponse {
  return answer.kind === 'error' ? { error: answer.error } : { result: answer.result, isError: answer.isError }
}
