import type { Dispatcher } from 'undici'
import type { Identify } from '../../../source.ts'
import { identityHeader } from '../identity.ts'
import { brokenReply, tooLarge, unreachable } from '../reasons.ts'
import { readMessages, type WireMessage } from './message.ts'
import { SseReader, type SseEvent } from './sse.ts'

/** One server's address and what is sent with every request to it. */
export type Wire = {
  readonly server: string
  readonly dispatcher: Dispatcher
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly maxBytes: number
  /** Ours: it goes with what is sent for no caller. */
  readonly identity?: Identify | undefined
}

export type Headers = Readonly<Record<string, string | string[] | undefined>>

export type WireRequest = {
  readonly method: 'POST' | 'GET' | 'DELETE'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  /** Less than the wire takes; how much may change while the answer is read. */
  readonly maxBytes?: (() => number) | undefined
  /** Another path of the same origin (HTTP+SSE names one). */
  readonly url?: URL
}

/** What an exchange says, in this order: `opened` once for a 2xx, messages, and `ended` once whatever happens. */
export type WireSink = {
  opened?(status: number, headers: Headers): void
  message?(message: WireMessage): void
  /** An event before its messages; also those without any. */
  event?(event: SseEvent): void
  retry?(milliseconds: number): void
  ended(end: WireEnd): void
}

export type WireEnd =
  | { readonly kind: 'done' }
  | { readonly kind: 'refused'; readonly status: number; readonly headers: Headers; readonly body: Buffer }
  | { readonly kind: 'failed'; readonly error: Error }

const MAX_REFUSAL_BYTES = 65_536
const MAX_REDIRECTS = 3

/** Sends one HTTP request and reads JSON or SSE from the answer. The returned function closes it with a reason. */
export function exchange(wire: Wire, request: WireRequest, sink: WireSink): (reason: Error) => void {
  const handler = new ExchangeHandler(wire, request, sink)
  handler.dispatch(request.url ?? wire.url)
  return (reason) => handler.close(reason)
}

type Mode = 'sse' | 'json' | 'refused' | 'redirect' | 'ignore'

class ExchangeHandler implements Dispatcher.DispatchHandler {
  readonly #wire: Wire
  readonly #request: WireRequest
  readonly #sink: WireSink
  #controller: Dispatcher.DispatchController | undefined
  #mode: Mode = 'ignore'
  #status = 0
  #headers: Headers = {}
  #sse: SseReader | undefined
  #chunks: Buffer[] = []
  #size = 0
  #redirects = 0
  #isEnded = false
  #closedWith: Error | undefined

  constructor(wire: Wire, request: WireRequest, sink: WireSink) {
    this.#wire = wire
    this.#request = request
    this.#sink = sink
  }

  dispatch(url: URL): void {
    const { method, headers, body } = this.#request
    const own = 'gatehouse-identity' in headers ? {} : identityHeader(this.#wire.identity)
    this.#wire.dispatcher.dispatch(
      {
        origin: url.origin,
        path: url.pathname + url.search,
        method,
        headers: { ...this.#wire.headers, ...own, ...headers },
        body: body ?? null,
        headersTimeout: 0,
        bodyTimeout: 0,
      },
      this,
    )
  }

  close(reason: Error): void {
    if (this.#isEnded) return
    this.#end({ kind: 'failed', error: reason })
    this.#closedWith = reason
    this.#controller?.abort(reason)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#closedWith !== undefined) controller.abort(this.#closedWith)
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: Headers): void {
    if (status < 200) return
    this.#status = status
    this.#headers = headers
    this.#mode = modeOf(status, headers)
    if (this.#mode === 'redirect' || this.#mode === 'refused') return
    this.#sink.opened?.(status, headers)
    if (this.#mode === 'sse') this.#sse = new SseReader(this.#events(), () => this.#maxBytes)
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isEnded) return
    if (this.#sse !== undefined) return this.#sse.push(chunk)
    if (this.#mode === 'ignore' || this.#mode === 'redirect') return
    this.#size += chunk.length
    const isRefusal = this.#mode === 'refused'
    if (isRefusal && this.#size > MAX_REFUSAL_BYTES) return
    if (this.#size > this.#maxBytes) return this.#tooLarge()
    this.#chunks.push(chunk)
  }

  onResponseEnd(): void {
    if (this.#isEnded) return
    if (this.#mode === 'redirect') return this.#redirect()
    const body =
      this.#chunks.length === 1 && this.#chunks[0] !== undefined ? this.#chunks[0] : Buffer.concat(this.#chunks)
    if (this.#mode === 'refused') {
      return this.#end({ kind: 'refused', status: this.#status, headers: this.#headers, body })
    }
    if (this.#mode === 'json' && body.length > 0) this.#read(body)
    this.#end({ kind: 'done' })
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#end({ kind: 'failed', error: unreachable(this.#wire.server, error) })
  }

  #events() {
    return {
      event: (event: SseEvent) => {
        if (this.#isEnded) return
        this.#sink.event?.(event)
        if (event.type === 'message' && event.data.length > 0) this.#read(event.data)
      },
      retry: (milliseconds: number) => this.#sink.retry?.(milliseconds),
      tooLarge: () => this.#tooLarge(),
    }
  }

  #read(bytes: Buffer): void {
    const messages = readMessages(bytes)
    if (messages === undefined) return this.close(brokenReply(this.#wire.server, 'sent something that is not JSON-RPC'))
    for (const message of messages) if (!this.#isEnded) this.#sink.message?.(message)
  }

  #tooLarge(): void {
    this.close(tooLarge(this.#wire.server, this.#maxBytes))
  }

  get #maxBytes(): number {
    return Math.min(this.#wire.maxBytes, this.#request.maxBytes?.() ?? Infinity)
  }

  /** Only where method and body stay (307, 308) and only inside the origin: no header of ours goes anywhere else. */
  #redirect(): void {
    const location = this.#headers['location']
    const base = this.#request.url ?? this.#wire.url
    const target = typeof location === 'string' && URL.canParse(location, base) ? new URL(location, base) : undefined
    this.#redirects += 1
    const isKept = this.#status === 307 || this.#status === 308
    if (target === undefined || !isKept || target.origin !== base.origin || this.#redirects > MAX_REDIRECTS) {
      const where = target === undefined || target.origin === base.origin ? 'elsewhere' : `to ${target.origin}`
      const what = `redirects ${where} (HTTP status ${this.#status}), which is not followed; set its final address as url`
      return this.#end({ kind: 'failed', error: brokenReply(this.#wire.server, what) })
    }
    this.dispatch(target)
  }

  #end(end: WireEnd): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#sink.ended(end)
  }
}

function modeOf(status: number, headers: Headers): Mode {
  if (status >= 300 && status < 400) return 'redirect'
  if (status >= 400) return 'refused'
  const type = headers['content-type']
  if (typeof type !== 'string') return 'ignore'
  if (type.startsWith('text/event-stream')) return 'sse'
  return /^application\/(.+\+)?json/i.test(type) ? 'json' : 'ignore'
}
