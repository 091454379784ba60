/** The tokens of a TOML document, as far as finding lines needs them. The document is known to be valid. */
export class TomlScanner {
  readonly #text: string
  #at = 0
  #line = 1

  constructor(text: string) {
    this.#text = text
  }

  get line(): number {
    return this.#line
  }

  isAtEnd(): boolean {
    return this.#at >= this.#text.length
  }

  /** Spaces, line ends and comments. */
  skipBlank(): void {
    this.#skipMatch(/(?:[ \t\r\n\uFEFF]|#[^\n]*)+/y)
  }

  /** Steps over `token` if it is next. */
  take(token: string): boolean {
    if (!this.#text.startsWith(token, this.#at)) return false
    this.#advance(token.length)
    return true
  }

  /** A dotted key with the spaces around it, quotes and escapes resolved. */
  readKey(): readonly string[] {
    const keys: string[] = []
    do {
      this.#skipSpaces()
      keys.push(this.#readKeyPart())
      this.#skipSpaces()
    } while (this.take('.'))
    return keys
  }

  /** A string of any of the four sorts, or a bare value: number, boolean, date. */
  skipScalar(): void {
    const { sort } = SCALARS.find(({ start }) => this.#text.startsWith(start, this.#at)) ?? BARE
    // A document that the parser accepted always matches; stepping on keeps any other from looping for ever.
    if (!this.#skipMatch(sort)) this.#advance(1)
  }

  #readKeyPart(): string {
    const start = this.#at
    if (this.#text.startsWith('"', start)) {
      this.#skipMatch(BASIC_STRING)
      return unescapeKey(this.#text.slice(start + 1, this.#at - 1))
    }
    if (this.#text.startsWith("'", start)) {
      this.#skipMatch(LITERAL_STRING)
      return this.#text.slice(start + 1, this.#at - 1)
    }
    if (!this.#skipMatch(/[^\s.=\]"'#]+/y)) this.#advance(1)
    return this.#text.slice(start, this.#at)
  }

  #skipSpaces(): void {
    this.#skipMatch(/[ \t]+/y)
  }

  #skipMatch(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at
    const length = pattern.exec(this.#text)?.[0].length ?? 0
    this.#advance(length)
    return length > 0
  }

  #advance(length: number): void {
    const end = Math.min(this.#at + length, this.#text.length)
    for (let at = this.#at; at < end; at++) if (this.#text.charCodeAt(at) === 10) this.#line += 1
    this.#at = end
  }
}

const BASIC_STRING = /"(?:[^"\\\n]|\\.)*"/y
const LITERAL_STRING = /'[^'\n]*'/y

// A multi-line string may end in up to two quotes of its own before the closing three.
const SCALARS = [
  { start: '"""', sort: /"""(?:[^"\\]|\\[^]|"(?!""))*"""("{0,2})/y },
  { start: "'''", sort: /'''(?:[^']|'(?!''))*'''('{0,2})/y },
  { start: '"', sort: BASIC_STRING },
  { start: "'", sort: LITERAL_STRING },
]
const BARE = { sort: /[^,\]}#\n]+/y }

const ESCAPES: Readonly<Record<string, string>> = {
  b: '\b',
  t: '\t',
  n: '\n',
  f: '\f',
  r: '\r',
  e: '\u001B',
  '"': '"',
  '\\': '\\',
}

function unescapeKey(text: string): string {
  return text.replaceAll(/\\(?:(?:x..|u.{4}|U.{8})|.)/g, (escape) => {
    const [, sort = ''] = escape
    if (escape.length === 2) return ESCAPES[sort] ?? ''
    return String.fromCodePoint(Number.parseInt(escape.slice(2), 16))
  })
}
