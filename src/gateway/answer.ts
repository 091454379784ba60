import type { ServerResponse } from 'node:http'
import type { Clock, Problem } from '#kernel'
import type { RpcError } from '#tools'
import type { OpenExchange, OpenExchanges } from './open-exchanges.ts'
import type { Beating, Pulse } from './pulse.ts'
import type { RpcId } from './rpc.ts'
import type { EventSink } from './sse.ts'
import { errorMessage, resultMessage, sendJson, type Pieces } from './write.ts'

export type AnswerOptions = {
  readonly res: ServerResponse
  readonly clock: Clock
  readonly pulse: Pulse
  readonly silenceMs: number
  /** Opens the event stream, when the client accepts one. */
  readonly openStream: (() => EventSink) | null
  /** The client accepts nothing but an event stream. */
  readonly streamOnly: boolean
  /** How many requests were in the body; null: one, not in a batch. */
  readonly batchSize: number | null
  /** What a lost connection means once the stream is open; a resumable stream lives on. */
  readonly survivesDisconnect: boolean
  readonly exchange: OpenExchange['exchange']
  readonly open: OpenExchanges
}

/**
 * The response to one POST. It is one JSON body when nothing was said before the result, and an event stream from
 * the first word on, or after a while of silence. When the client leaves, `signal` aborts at once, unless it can resume.
 */
export class Answer implements Beating, OpenExchange {
  place = -1
  openPlace = -1
  readonly #options: AnswerOptions
  readonly #startedAt: number
  readonly #gone = new AbortController()
  readonly #parts: Buffer[][] = []
  #left: number
  #stream: EventSink | undefined

  constructor(options: AnswerOptions) {
    this.#options = options
    this.#startedAt = options.clock.now()
    this.#left = options.batchSize ?? 1
    options.res.once('close', () => this.#lose())
    if (options.openStream !== null) options.pulse.add(this)
    options.open.add(this)
  }

  get exchange(): OpenExchange['exchange'] {
    return this.#options.exchange
  }

  get signal(): AbortSignal {
    return this.#gone.signal
  }

  /** True when nothing else waits for this answer, so that its signal is the signal of the one request in it. */
  get isOfOne(): boolean {
    return this.#options.batchSize === null
  }

  get maySpeak(): boolean {
    return this.#options.openStream !== null && this.#left > 0
  }

  /** Says something before the result. False when the client takes no event stream or the answer is complete. */
  say(message: Pieces, droppable?: 'droppable'): boolean {
    if (!this.maySpeak) return false
    this.#open()?.send(message, droppable)
    return true
  }

  result(id: RpcId, result: Pieces): void {
    this.#finish(resultMessage(id, result), 200)
  }

  error(id: RpcId, error: RpcError, status = 200): void {
    this.#finish(errorMessage(id, error), status)
  }

  beat(now: number): void {
    if (now - this.#startedAt >= this.#options.silenceMs) this.#open()
  }

  /** Opens the event stream before there is anything to say, so that the client can come back from the start. */
  openNow(): void {
    this.#open()
  }

  /** Ends everything that depends on this answer, as if the client had left. */
  abandon(): void {
    this.#options.pulse.remove(this)
    this.#gone.abort()
  }

  /** Ends what runs; its answer is still given. */
  abort(): void {
    this.#gone.abort()
  }

  /** Ends what runs; its answer says why. */
  expel(why: Problem): void {
    this.#options.open.remove(this)
    this.#gone.abort(why)
  }

  #finish(message: Buffer[], status: number): void {
    if (this.#left === 0) return
    if (this.#options.streamOnly) this.#open()
    this.#left -= 1
    if (this.#stream !== undefined) this.#stream.send(message)
    else this.#parts.push(message)
    if (this.#left === 0) this.#complete(status)
  }

  #complete(status: number): void {
    this.#options.pulse.remove(this)
    this.#options.open.remove(this)
    if (this.#stream !== undefined) return this.#stream.end()
    const isBatch = this.#options.batchSize !== null
    const body = isBatch ? asArray(this.#parts) : this.#parts.flat()
    sendJson(this.#options.res, { status: isBatch ? 200 : status, body })
  }

  #open(): EventSink | undefined {
    if (this.#stream !== undefined || this.#options.openStream === null) return this.#stream
    this.#options.pulse.remove(this)
    if (this.#options.res.destroyed) return undefined
    this.#stream = this.#options.openStream()
    for (const part of this.#parts.splice(0)) this.#stream.send(part)
    return this.#stream
  }

  #lose(): void {
    this.#options.pulse.remove(this)
    if (this.#left === 0) return
    if (this.#stream !== undefined && this.#options.survivesDisconnect) return
    this.#gone.abort()
  }
}

function asArray(parts: readonly Buffer[][]): Buffer[] {
  const comma = Buffer.from(',')
  const joined = parts.flatMap((part, index) => (index === 0 ? part : [comma, ...part]))
  return [Buffer.from('['), ...joined, Buffer.from(']')]
}
