import type { ServerResponse } from 'node:http'
import type { Clock } from '#kernel'
import type { Beating, Pulse } from './pulse.ts'

export type SseOptions = {
  readonly clock: Clock
  readonly pulse: Pulse
  readonly keepAliveMs: number
  readonly backlogBytes: number
  readonly headers?: Readonly<Record<string, string>>
}

/** Where messages of a stream go; the session era's keeps them for a while (`legacy/replay.ts`). */
export type EventSink = {
  /** Sends one JSON message. `droppable` ones are left out while the client reads too slowly. */
  send(message: readonly Buffer[], droppable?: 'droppable'): void
  end(): void
}

/** One open event stream (WHATWG HTML §9.2) with its keep-alive comments. */
export class SseResponse implements EventSink, Beating {
  readonly #res: ServerResponse
  readonly #options: SseOptions
  #lastWrite: number

  constructor(res: ServerResponse, options: SseOptions) {
    this.#res = res
    this.#options = options
    this.#lastWrite = options.clock.now()
    res.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      ...options.headers,
    })
    res.flushHeaders()
    options.pulse.add(this)
    res.once('close', () => options.pulse.remove(this))
  }

  send(message: readonly Buffer[], droppable?: 'droppable'): void {
    if (droppable !== undefined && this.isBehind) return
    this.write(frameEvent(message))
  }

  /** Writes ready-made frames, for streams that number their events. */
  write(frame: readonly Buffer[]): void {
    if (this.#res.destroyed || this.#res.writableEnded) return
    this.#lastWrite = this.#options.clock.now()
    this.#res.cork()
    for (const piece of frame) this.#res.write(piece)
    this.#res.uncork()
  }

  /** The client reads more slowly than we write. */
  get isBehind(): boolean {
    return this.#res.writableLength > this.#options.backlogBytes
  }

  destroy(): void {
    this.#res.destroy()
  }

  beat(now: number): void {
    if (now - this.#lastWrite < this.#options.keepAliveMs) return
    if (!this.isBehind) this.write([KEEP_ALIVE])
  }

  end(): void {
    this.#options.pulse.remove(this)
    if (!this.#res.writableEnded) this.#res.end()
  }
}

const KEEP_ALIVE = Buffer.from(': keep-alive\n\n')
const DATA = Buffer.from('data: ')
const END = Buffer.from('\n\n')

/** One event. JSON needs no line breaks, and a frame allows none, so those between its tokens become spaces. */
export function frameEvent(message: readonly Buffer[], id?: string): Buffer[] {
  const head = id === undefined ? DATA : Buffer.from(`id: ${id}\ndata: `)
  return [head, ...message.map(withoutLineBreaks), END]
}

/** The event that gives a client its first id before there is anything to say, and how soon to come back. */
export function framePriming(id: string, retryMs: number): Buffer {
  return Buffer.from(`id: ${id}\nretry: ${retryMs}\ndata: \n\n`)
}

function withoutLineBreaks(piece: Buffer): Buffer {
  if (!piece.includes(0x0a) && !piece.includes(0x0d)) return piece
  const copy = Buffer.from(piece)
  for (let at = copy.indexOf(0x0a); at !== -1; at = copy.indexOf(0x0a, at)) copy[at] = 0x20
  for (let at = copy.indexOf(0x0d); at !== -1; at = copy.indexOf(0x0d, at)) copy[at] = 0x20
  return copy
}
