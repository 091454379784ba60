/** One server-sent event. `data` shares memory with the chunk it came in, unless it came in several. */
export type SseEvent = { readonly type: string; readonly data: Buffer; readonly id: string | undefined }

export type SseSink = {
  event(event: SseEvent): void
  /** The server's wish for the time before a reconnection. */
  retry(milliseconds: number): void
  /** An event grew past the limit; the reader takes nothing more. */
  tooLarge(): void
}

const LF = 0x0a
const CR = 0x0d
const LINE_BYTES = 64
const NOTHING = Buffer.alloc(0)
const LINE_BREAK = Buffer.from('\n')

/** Reads `text/event-stream` (HTML Living Standard §9.2.6) from chunks cut anywhere. Each byte is copied at most once. */
export class SseReader {
  readonly #sink: SseSink
  readonly #maxBytes: () => number
  /** Pieces of the line that has not ended yet. */
  #line: Buffer[] = []
  #size = 0
  #data: Buffer[] = []
  #type = ''
  #id: string | undefined
  #afterCr = false
  #isFirstLine = true
  #isStopped = false

  /** `maxBytes` is asked anew for every piece: on a stream that is shared it depends on what is waited for. */
  constructor(sink: SseSink, maxBytes: () => number) {
    this.#sink = sink
    this.#maxBytes = maxBytes
  }

  push(chunk: Buffer): void {
    let at = this.#afterCr && chunk[0] === LF ? 1 : 0
    if (chunk.length > 0) this.#afterCr = false
    let cr = chunk.indexOf(CR, at)
    while (at < chunk.length && !this.#isStopped) {
      if (cr !== -1 && cr < at) cr = chunk.indexOf(CR, at)
      const end = firstOf(chunk.indexOf(LF, at), cr)
      if (end === -1) return this.#keep(chunk.subarray(at))
      this.#keep(chunk.subarray(at, end))
      this.#endLine()
      at = end === cr ? this.#skipLf(chunk, end + 1) : end + 1
    }
  }

  #skipLf(chunk: Buffer, at: number): number {
    if (at === chunk.length) this.#afterCr = true
    return chunk[at] === LF ? at + 1 : at
  }

  #keep(piece: Buffer): void {
    if (piece.length === 0) return
    this.#size += piece.length
    this.#line.push(piece)
    if (this.#size <= this.#maxBytes() + 64) return
    this.#isStopped = true
    this.#sink.tooLarge()
  }

  #endLine(): void {
    let line = joined(this.#line, NOTHING)
    this.#line = []
    if (this.#isFirstLine) {
      this.#isFirstLine = false
      if (line[0] === 0xef && line[1] === 0xbb && line[2] === 0xbf) line = line.subarray(3)
    }
    if (line.length === 0) return this.#endEvent()
    const colon = line.indexOf(0x3a)
    if (colon === 0) {
      this.#size -= line.length
      return
    }
    const name = line.toString('latin1', 0, colon === -1 ? line.length : colon)
    const from = colon === -1 ? line.length : colon + (line[colon + 1] === 0x20 ? 2 : 1)
    this.#field(name, line.subarray(from))
  }

  #field(name: string, value: Buffer): void {
    switch (name) {
      case 'data':
        this.#data.push(value)
        // What a line costs here beside its bytes: millions of empty ones are no small event.
        this.#size += LINE_BYTES
        return
      case 'event':
        this.#type = value.toString('utf8')
        return
      case 'id':
        if (!value.includes(0)) this.#id = value.toString('utf8')
        return
      case 'retry':
        if (/^\d{1,9}$/.test(value.toString('latin1'))) this.#sink.retry(Number(value.toString('latin1')))
        return
      default:
    }
  }

  #endEvent(): void {
    const event = { type: this.#type || 'message', data: joined(this.#data, LINE_BREAK), id: this.#id }
    const isEvent = this.#data.length > 0 || this.#id !== undefined
    this.#data = []
    this.#type = ''
    this.#id = undefined
    this.#size = 0
    if (isEvent) this.#sink.event(event)
  }
}

function firstOf(a: number, b: number): number {
  if (a === -1 || b === -1) return Math.max(a, b)
  return Math.min(a, b)
}

function joined(pieces: readonly Buffer[], between: Buffer): Buffer {
  const [first] = pieces
  if (first === undefined) return NOTHING
  if (pieces.length === 1) return first
  if (between.length === 0) return Buffer.concat(pieces)
  return Buffer.concat(pieces.flatMap((piece, index) => (index === 0 ? [piece] : [between, piece])))
}
