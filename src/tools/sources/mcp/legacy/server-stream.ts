import type { ServerMessage } from '../link.ts'
import { exchange, type Wire, type WireEnd } from '../wire/exchange.ts'
import { pauseFor } from './pause.ts'
import { toServerMessage } from './to-server-message.ts'

/** Shared by all sessions of a server: once it refused the GET stream (405), nobody asks again. */
export type StreamOffer = { isRefused: boolean }

export type ServerStreamSink = {
  readonly offer: StreamOffer
  message(message: ServerMessage): void
  /** The server answered 404 (or 400 where it once agreed): the session itself is gone. */
  gone(): void
}

/** The GET stream of one session, on which a server speaks when it has no request to answer. Reopened until closed. */
export class ServerStream {
  readonly #wire: Wire
  readonly #session: () => Readonly<Record<string, string>>
  readonly #sink: ServerStreamSink
  #lastEventId: string | undefined
  #retryMs: number | undefined
  #failures = 0
  #wasOpen = false
  #close: ((reason: Error) => void) | undefined
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(wire: Wire, session: () => Readonly<Record<string, string>>, sink: ServerStreamSink) {
    this.#wire = wire
    this.#session = session
    this.#sink = sink
  }

  open(): void {
    if (this.#isClosed) return
    const resume = this.#lastEventId === undefined ? {} : { 'last-event-id': this.#lastEventId }
    const headers = { ...this.#session(), ...resume, accept: 'text/event-stream' }
    this.#close = exchange(
      this.#wire,
      { method: 'GET', headers },
      {
        opened: () => {
          this.#failures = 0
          this.#wasOpen = true
        },
        event: ({ id }) => {
          if (id !== undefined) this.#lastEventId = id
        },
        retry: (milliseconds) => {
          this.#retryMs = milliseconds
        },
        message: (message) => {
          const received = toServerMessage(message)
          if (received !== undefined) this.#sink.message(received)
        },
        ended: (end) => this.#ended(end),
      },
    )
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.#close?.(new Error('closed by us'))
  }

  #ended(end: WireEnd): void {
    if (this.#isClosed) return
    if (end.kind === 'refused') {
      if (end.status === 405) this.#sink.offer.isRefused = true
      if (end.status === 404 || (end.status === 400 && this.#wasOpen)) this.#sink.gone()
      if (end.status < 500) return
    }
    const pauseMs = pauseFor(this.#retryMs, this.#failures)
    this.#failures += 1
    this.#timer = setTimeout(() => this.open(), pauseMs).unref()
  }
}
