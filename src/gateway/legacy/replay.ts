import type { ServerResponse } from 'node:http'
import { Problem } from '#kernel'
import type { FaceContext } from '../context.ts'
import { STREAM_GONE } from '../problems.ts'
import type { Beating } from '../pulse.ts'
import { frameEvent, framePriming, SseResponse, type EventSink } from '../sse.ts'
import { sizeOf, type Pieces } from '../write.ts'
import type { ReplayBudget } from './replay-budget.ts'

const RETRY_MS = 1000
const FIRST_WITH_PRIMING = '2025-11-25'

export type ReplayOptions = {
  readonly face: FaceContext
  readonly budget: ReplayBudget
  /** `call`: answers one POST. `server`: opened by GET. */
  readonly kind: 'call' | 'server'
  readonly number: number
  readonly protocolVersion: string
  /** Headers of every connection of this stream. */
  readonly headers: Readonly<Record<string, string>>
  /** The stream can no longer be resumed. */
  onGone(stream: ReplayStream): void
}

type KeptEvent = { readonly seq: number; readonly message: Pieces; readonly bytes: number }

/**
 * An event stream that outlives its connection for a while (2025-11-25 basic/transports §Resumability): every event has
 * an id that names the stream, and the last ones are kept for a client that comes back.
 */
export class ReplayStream implements EventSink, Beating {
  readonly id: string
  readonly kind: 'call' | 'server'
  readonly #options: ReplayOptions
  readonly #kept: KeptEvent[] = []
  #keptBytes = 0
  #lastSeq = 0
  #seqWhenLost = 0
  #sse: SseResponse | undefined
  #alone: number | undefined
  #isFinished = false
  #isGone = false

  constructor(options: ReplayOptions) {
    this.#options = options
    this.kind = options.kind
    this.id = `${options.kind === 'call' ? 'c' : 's'}${options.number}`
  }

  get isConnected(): boolean {
    return this.#sse !== undefined
  }

  /** Makes this response the stream's connection, after the event the client saw last; an older one is closed. */
  connect(res: ServerResponse, afterSeq: number | null): void {
    const { face, headers } = this.#options
    if (afterSeq !== null) this.#refuseGap(afterSeq)
    this.#sse?.end()
    const sse = new SseResponse(res, { clock: face.clock, pulse: face.pulse, ...face.limits, headers })
    this.#sse = sse
    this.#alone = undefined
    face.pulse.remove(this)
    res.once('close', () => this.#disconnect(sse))
    this.#replay(sse, afterSeq)
    if (this.#isFinished) this.#finishAgain(sse)
  }

  send(message: Pieces, droppable?: 'droppable'): void {
    if (this.#isFinished) return
    if (droppable !== undefined && this.#sse?.isBehind !== false) return
    this.#lastSeq += 1
    this.#keep({ seq: this.#lastSeq, message, bytes: sizeOf(message) })
    this.#sse?.write(frameEvent(message, this.#eventId(this.#lastSeq)))
    // A client that does not read is cut off; it can come back for what is kept.
    if (this.kind === 'server' && this.#sse?.isBehind === true) this.#sse.destroy()
  }

  /** The last message was sent. What was kept stays for a while, as nobody knows whether it arrived. */
  end(): void {
    if (this.#isGone) return
    this.#isFinished = true
    this.#options.budget.finished(this)
    this.#waitAlone()
    this.#sse?.end()
  }

  /** Moves what nobody was there to receive to another stream of the same session. */
  handOver(to: ReplayStream): void {
    for (const event of this.#kept) if (event.seq > this.#seqWhenLost) to.send(event.message)
    this.discard()
  }

  beat(now: number): void {
    if (this.#alone === undefined) return
    if (now - this.#alone >= this.#options.face.limits.resumeMs) this.discard()
  }

  /** Ends the stream for good. */
  discard(): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#isFinished = true
    this.#options.face.pulse.remove(this)
    this.#options.budget.release(this, this.#keptBytes)
    this.#kept.length = 0
    this.#keptBytes = 0
    this.#sse?.end()
    this.#options.onGone(this)
  }

  /** A server stream goes on with what is left; a call would wait for its result for ever. */
  #refuseGap(afterSeq: number): void {
    const oldest = this.#kept[0]?.seq ?? this.#lastSeq + 1
    if (this.kind === 'server' || afterSeq + 1 >= oldest) return
    throw new Problem(STREAM_GONE, 'Some of the missed messages are no longer kept. Make the call again.')
  }

  #replay(sse: SseResponse, afterSeq: number | null): void {
    const isFirst = afterSeq === null
    if (isFirst && this.#options.protocolVersion >= FIRST_WITH_PRIMING) {
      sse.write([framePriming(this.#eventId(0), RETRY_MS)])
    }
    for (const event of this.#kept) {
      if (isFirst || event.seq > afterSeq) sse.write(frameEvent(event.message, this.#eventId(event.seq)))
    }
  }

  #finishAgain(sse: SseResponse): void {
    this.#waitAlone()
    sse.end()
  }

  #disconnect(sse: SseResponse): void {
    if (this.#sse !== sse) return
    this.#sse = undefined
    this.#seqWhenLost = this.#lastSeq
    if (!this.#isGone) this.#waitAlone()
  }

  #waitAlone(): void {
    this.#alone = this.#options.face.clock.now()
    this.#options.face.pulse.add(this)
  }

  #keep(event: KeptEvent): void {
    const { face, budget } = this.#options
    this.#kept.push(event)
    this.#keptBytes += event.bytes
    budget.add(event.bytes)
    while (this.#kept.length > face.limits.resumeEvents || this.#keptBytes > face.limits.resumeBytes) {
      const oldest = this.#kept.shift()
      if (oldest === undefined) break
      this.#keptBytes -= oldest.bytes
      budget.add(-oldest.bytes)
    }
  }

  #eventId(seq: number): string {
    return `${this.id}-${seq}`
  }
}

/** The stream and place that a `Last-Event-ID` names; null when it is not one of ours. */
export function parseEventId(text: string): { streamId: string; seq: number } | null {
  const match = /^([cs]\d{1,12})-(\d{1,12})$/.exec(text)
  return match?.[1] === undefined ? null : { streamId: match[1], seq: Number(match[2]) }
}
