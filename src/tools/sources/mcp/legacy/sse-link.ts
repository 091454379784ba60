import type { Identify } from '../../../source.ts'
import { identityHeader } from '../identity.ts'
import { mostBytes, type Link, type LinkEvents, type LinkRequest, type LinkResponse, type OpenLink } from '../link.ts'
import { brokenReply, refused, unreachable } from '../reasons.ts'
import { exchange, type Wire, type WireEnd } from '../wire/exchange.ts'
import type { WireMessage } from '../wire/message.ts'
import type { SseEvent } from '../wire/sse.ts'
import { WrongEra } from '../wrong-era.ts'
import { toServerMessage } from './to-server-message.ts'

/** HTTP+SSE of 2024-11-05: one GET stream that first names where to POST, and then carries everything else. */
export function createSseOpenLink(wire: Wire): OpenLink {
  return async ({ signal, events, identity }) => {
    const link = new SseLink(wire, { events, identity })
    await link.open(signal)
    return link
  }
}

type Waiting = { readonly maxBytes: number; resolve(response: LinkResponse): void; reject(error: unknown): void }

class SseLink implements Link {
  readonly closed: Promise<string>
  readonly #wire: Wire
  readonly #events: LinkEvents
  readonly #identity: Identify | undefined
  readonly #die: (reason: string) => void
  readonly #opened = Promise.withResolvers<URL>()
  readonly #waiting = new Map<number, Waiting>()
  #endpoint: URL | undefined
  #nextId = 0
  #close: ((reason: Error) => void) | undefined

  constructor(wire: Wire, own: { events: LinkEvents; identity: Identify | undefined }) {
    const { promise, resolve } = Promise.withResolvers<string>()
    this.closed = promise
    this.#die = resolve
    this.#wire = wire
    this.#events = own.events
    this.#identity = own.identity
  }

  async open(signal: AbortSignal): Promise<void> {
    const giveUp = () => this.#close?.(brokenReply(this.#wire.server, 'did not say where to send messages in time'))
    signal.addEventListener('abort', giveUp, { once: true })
    this.#close = exchange(
      this.#wire,
      {
        method: 'GET',
        headers: { ...identityHeader(this.#identity), accept: 'text/event-stream' },
        maxBytes: () => this.#maxBytes,
      },
      {
        event: (event) => this.#event(event),
        message: (message) => this.#message(message),
        ended: (end) => this.#ended(end),
      },
    )
    try {
      this.#endpoint = await this.#opened.promise
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
  }

  request({ method, params, signal, identity, maxBytes = Infinity }: LinkRequest): Promise<LinkResponse> {
    this.#nextId += 1
    const id = this.#nextId
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const cancel = () => {
        settle(() => reject(signal.reason))
        const notice = { requestId: id, reason: 'cancelled' }
        if (method !== 'initialize')
          this.send({ method: 'notifications/cancelled', params: notice }).catch(() => undefined)
      }
      const settle = (then: () => void) => {
        this.#waiting.delete(id)
        signal.removeEventListener('abort', cancel)
        then()
      }
      signal.addEventListener('abort', cancel, { once: true })
      this.#waiting.set(id, {
        maxBytes,
        resolve: (response) => settle(() => resolve(response)),
        reject: (error) => settle(() => reject(error)),
      })
      this.#post({ jsonrpc: '2.0', id, method, params }, identity).catch((error: unknown) =>
        this.#waiting.get(id)?.reject(error),
      )
    })
  }

  /** Of the one stream, on which any answer may come: the most that one of those we wait for may have. */
  get #maxBytes(): number {
    return mostBytes(this.#waiting.values())
  }

  send(message: Parameters<Link['send']>[0]): Promise<void> {
    return this.#post({ jsonrpc: '2.0', ...message })
  }

  async close(): Promise<void> {
    this.#close?.(new Error('closed by us'))
  }

  #post(message: object, identity = this.#identity): Promise<void> {
    return new Promise((resolve, reject) => {
      const headers = { ...identityHeader(identity), 'content-type': 'application/json' }
      const request = {
        method: 'POST',
        headers,
        body: JSON.stringify(message),
        url: this.#endpoint ?? this.#wire.url,
      } as const
      exchange(this.#wire, request, {
        ended: (end) => {
          if (end.kind === 'done') return resolve()
          if (end.kind === 'failed') return reject(end.error)
          reject(refused(this.#wire.server, end.status))
        },
      })
    })
  }

  /** The endpoint must lie in the origin we were given, or our headers would go to a stranger. */
  #event({ type, data }: SseEvent): void {
    if (type !== 'endpoint' || this.#endpoint !== undefined) return
    const text = data.toString('utf8')
    const endpoint = URL.canParse(text, this.#wire.url) ? new URL(text, this.#wire.url) : undefined
    if (endpoint?.origin === this.#wire.url.origin) return this.#opened.resolve(endpoint)
    this.#close?.(brokenReply(this.#wire.server, 'wants messages sent to another origin, which is refused'))
  }

  #message(message: WireMessage): void {
    const received = toServerMessage(message)
    if (received !== undefined) return this.#events.message(received)
    if (message.kind === 'result') {
      this.#waiting.get(Number(message.id))?.resolve({ result: message.result, isError: message.isError })
    }
    if (message.kind === 'error') this.#waiting.get(Number(message.id))?.resolve({ error: message.error })
  }

  #ended(end: WireEnd): void {
    const error = reasonOf(this.#wire.server, end)
    this.#opened.reject(error)
    for (const waiting of this.#waiting.values()) waiting.reject(error)
    this.#die(error.message)
  }
}

function reasonOf(server: string, end: WireEnd): Error {
  switch (end.kind) {
    case 'failed':
      return end.error
    case 'done':
      return unreachable(server, new Error('the stream ended'))
    case 'refused':
      return [400, 404, 405, 406].includes(end.status) ? new WrongEra(server) : refused(server, end.status)
  }
}
