import { isUtf8 } from 'node:buffer'

/** Where something stands in the bytes: `start` included, `end` not. */
export type Span = { readonly start: number; readonly end: number }

/** The members of one JSON-RPC message that decide where it goes, as positions; the last of equal names counts. */
export type Scan = {
  readonly id?: Span
  readonly method?: Span
  readonly result?: Span
  readonly error?: Span
  /** The result's own `isError` is `true`. */
  readonly isError: boolean
  /** The result's own `resultType`, with its quotes. */
  readonly resultType?: Span
}

/** Deeper values are refused: nobody downstream has to fear for its stack. */
export const MAX_DEPTH = 256

/**
 * Finds the parts of a JSON-RPC message without building it: one pass, nothing is copied. Accepts exactly what
 * `JSON.parse` accepts as an object in UTF-8 and not nested deeper than `MAX_DEPTH`; otherwise `undefined`.
 */
export function scanMessage(bytes: Buffer): Scan | undefined {
  if (!isUtf8(bytes)) return undefined
  const cursor = new Cursor(bytes)
  try {
    const scan = scanEnvelope(cursor)
    cursor.finish()
    return scan
  } catch (error) {
    if (error === NOT_JSON) return undefined
    throw error
  }
}

/** True for one JSON value in UTF-8 that is not nested deeper than `MAX_DEPTH`. */
export function isShallowJson(bytes: Buffer): boolean {
  if (!isUtf8(bytes)) return false
  const cursor = new Cursor(bytes)
  try {
    cursor.value(0)
    cursor.finish()
    return true
  } catch (error) {
    if (error === NOT_JSON) return false
    throw error
  }
}

function scanEnvelope(cursor: Cursor): Scan {
  const spans: { id?: Span; method?: Span; result?: Span; error?: Span } = {}
  let inner: ResultScan = NO_RESULT
  cursor.object(1, (name) => {
    const start = cursor.at
    if (name === 'result') inner = scanResult(cursor)
    else cursor.value(1)
    const span = { start, end: cursor.at }
    if (name === 'id' || name === 'method' || name === 'result' || name === 'error') spans[name] = span
  })
  return { ...spans, ...inner }
}

type ResultScan = { readonly isError: boolean; readonly resultType?: Span }
const NO_RESULT: ResultScan = { isError: false }

function scanResult(cursor: Cursor): ResultScan {
  if (cursor.peek() !== BRACE_OPEN) {
    cursor.value(1)
    return NO_RESULT
  }
  let isError = false
  let resultType: Span | undefined
  cursor.object(2, (name) => {
    const start = cursor.at
    const first = cursor.peek()
    cursor.value(2)
    if (name === 'isError') isError = first === LETTER_T
    if (name === 'resultType') resultType = first === QUOTE ? { start, end: cursor.at } : undefined
  })
  return resultType === undefined ? { isError } : { isError, resultType }
}

const NOT_JSON = new Error('not JSON')
const QUOTE = 0x22
const BACKSLASH = 0x5c
const BRACE_OPEN = 0x7b
const BRACE_CLOSE = 0x7d
const BRACKET_OPEN = 0x5b
const BRACKET_CLOSE = 0x5d
const COMMA = 0x2c
const COLON = 0x3a
const LETTER_T = 0x74
const LETTER_U = 0x75
const LITERALS = new Map([
  [LETTER_T, Buffer.from('true')],
  [0x66, Buffer.from('false')],
  [0x6e, Buffer.from('null')],
])
const ESCAPES = new Set(Buffer.from('"\\/bfnrt'))

/** Walks over JSON (RFC 8259) and throws `NOT_JSON` at the first byte that does not belong. */
class Cursor {
  at = 0
  readonly #bytes: Buffer

  constructor(bytes: Buffer) {
    this.#bytes = bytes
    this.#space()
  }

  /** The next byte; -1 at the end. */
  peek(): number {
    return this.at < this.#bytes.length ? (this.#bytes[this.at] ?? -1) : -1
  }

  /** Steps over one value; `depth` is the depth of what holds it. */
  value(depth: number): void {
    const first = this.peek()
    if (first === QUOTE) this.#string()
    else if (first === BRACE_OPEN) this.object(depth + 1)
    else if (first === BRACKET_OPEN) this.#array(depth + 1)
    else if (LITERALS.has(first)) this.#literal(first)
    else this.#number()
  }

  /** Steps over an object; with `visit`, the visitor steps over each value itself. */
  object(depth: number, visit?: (name: string) => void): void {
    this.#open(BRACE_OPEN, depth)
    if (this.#closes(BRACE_CLOSE)) return
    for (;;) {
      const start = this.at
      this.#string()
      const end = this.at
      this.#space()
      this.#expect(COLON)
      if (visit === undefined) this.value(depth)
      else visit(this.#name(start, end))
      this.#space()
      if (this.peek() === BRACE_CLOSE) break
      this.#expect(COMMA)
    }
    this.at += 1
  }

  finish(): void {
    this.#space()
    if (this.at !== this.#bytes.length) throw NOT_JSON
  }

  #array(depth: number): void {
    this.#open(BRACKET_OPEN, depth)
    if (this.#closes(BRACKET_CLOSE)) return
    for (;;) {
      this.value(depth)
      this.#space()
      if (this.peek() === BRACKET_CLOSE) break
      this.#expect(COMMA)
    }
    this.at += 1
  }

  #open(byte: number, depth: number): void {
    if (depth > MAX_DEPTH) throw NOT_JSON
    this.#expect(byte)
  }

  #closes(byte: number): boolean {
    if (this.peek() !== byte) return false
    this.at += 1
    return true
  }

  /** Steps over `byte` and the white space behind it. */
  #expect(byte: number): void {
    if (this.peek() !== byte) throw NOT_JSON
    this.at += 1
    this.#space()
  }

  #space(): void {
    for (;;) {
      const byte = this.peek()
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return
      this.at += 1
    }
  }

  #string(): void {
    if (this.peek() !== QUOTE) throw NOT_JSON
    const bytes = this.#bytes
    let at = this.at + 1
    for (;;) {
      if (at >= bytes.length) throw NOT_JSON
      const byte = bytes[at] ?? 0
      if (byte === QUOTE) break
      if (byte < 0x20) throw NOT_JSON
      at = byte === BACKSLASH ? this.#escape(at) : at + 1
    }
    this.at = at + 1
  }

  #escape(at: number): number {
    const kind = this.#bytes[at + 1] ?? 0
    if (ESCAPES.has(kind)) return at + 2
    if (kind !== LETTER_U || at + 6 > this.#bytes.length) throw NOT_JSON
    for (let i = at + 2; i < at + 6; i += 1) if (!isHexDigit(this.#bytes[i] ?? 0)) throw NOT_JSON
    return at + 6
  }

  #literal(first: number): void {
    const literal = LITERALS.get(first)
    if (literal === undefined) throw NOT_JSON
    const end = this.at + literal.length
    if (end > this.#bytes.length || literal.compare(this.#bytes, this.at, end) !== 0) throw NOT_JSON
    this.at = end
  }

  #number(): void {
    if (this.peek() === 0x2d) this.at += 1
    if (this.peek() === 0x30) this.at += 1
    else this.#digits()
    if (this.peek() === 0x2e) {
      this.at += 1
      this.#digits()
    }
    if ((this.peek() | 0x20) !== 0x65) return
    this.at += 1
    if (this.peek() === 0x2b || this.peek() === 0x2d) this.at += 1
    this.#digits()
  }

  #digits(): void {
    const start = this.at
    while (this.peek() >= 0x30 && this.peek() <= 0x39) this.at += 1
    if (this.at === start) throw NOT_JSON
  }

  #name(start: number, end: number): string {
    const escape = this.#bytes.indexOf(BACKSLASH, start)
    if (escape === -1 || escape >= end) return this.#bytes.toString('latin1', start + 1, end - 1)
    const name: unknown = JSON.parse(this.#bytes.toString('utf8', start, end))
    return String(name)
  }
}

function isHexDigit(byte: number): boolean {
  const lower = byte | 0x20
  return (byte >= 0x30 && byte <= 0x39) || (lower >= 0x61 && lower <= 0x66)
}
