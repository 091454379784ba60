/** `too-long`: more than the limit; only its ends were kept, so that the request it answers can still be found. */
export type Line =
  | { readonly kind: 'line'; readonly bytes: Buffer }
  | { readonly kind: 'too-long'; readonly head: Buffer; readonly tail: Buffer; readonly length: number }

const END_BYTES = 256
const NEWLINE = 0x0a
const CARRIAGE_RETURN = 0x0d

/** Cuts a byte stream into lines (without their line ends), holding never more than `maxBytes` of an unfinished one. */
export class LineCutter {
  readonly #maxBytes: () => number
  #parts: Buffer[] = []
  #length = 0
  #head: Buffer | undefined
  #tail = Buffer.alloc(0)

  constructor(maxBytes: () => number) {
    this.#maxBytes = maxBytes
  }

  /** Bytes seen of a line that has not ended yet. */
  get openBytes(): number {
    return this.#length
  }

  *push(chunk: Buffer): Generator<Line> {
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      this.#add(chunk.subarray(start, end))
      yield this.#take()
      start = end + 1
    }
    if (start < chunk.length) this.#add(chunk.subarray(start))
  }

  /** The unfinished line at the end of the stream, if there is one. */
  *end(): Generator<Line> {
    if (this.#length > 0) yield this.#take()
  }

  #add(part: Buffer): void {
    this.#length += part.length
    if (this.#head === undefined && this.#length <= this.#maxBytes()) {
      this.#parts.push(part)
      return
    }
    const kept = Buffer.concat([...this.#parts, part])
    this.#parts = []
    this.#head ??= Buffer.from(kept.subarray(0, END_BYTES))
    this.#tail = Buffer.from(Buffer.concat([this.#tail, kept.subarray(-END_BYTES)]).subarray(-END_BYTES))
  }

  #take(): Line {
    const line: Line =
      this.#head === undefined
        ? { kind: 'line', bytes: withoutCarriageReturn(joined(this.#parts)) }
        : { kind: 'too-long', head: this.#head, tail: withoutCarriageReturn(this.#tail), length: this.#length }
    this.#parts = []
    this.#length = 0
    this.#head = undefined
    this.#tail = Buffer.alloc(0)
    return line
  }
}

function joined(parts: readonly Buffer[]): Buffer {
  const [first] = parts
  return parts.length === 1 && first !== undefined ? first : Buffer.concat(parts)
}

function withoutCarriageReturn(bytes: Buffer): Buffer {
  return bytes.at(-1) === CARRIAGE_RETURN ? bytes.subarray(0, -1) : bytes
}
