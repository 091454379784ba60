import type { Finder, Span } from './detect/span.ts'

/** The language of a target: which URL, which SQL verb. */

const SCHEME = /[A-Za-z0-9+.-]/
const REST = /[^\s"'<>\\^`{|}]{1,4096}/y

/** URLs of these hosts and paths, read as every client reads them (WHATWG URL): case, user names, `0x7f.1`, punycode. */
export function urlFinder(hosts: readonly string[], paths: readonly string[]): Finder {
  const isHost = hosts.map(hostMatcher)
  return (text) => {
    const spans: Span[] = []
    for (const [start, end] of urlsIn(text)) {
      const url = URL.parse(text.slice(start, end))
      if (url === null) continue
      const host = (hostOf(url) ?? '').replace(/\.$/, '')
      const isAt = isHost.length === 0 || isHost.some((matches) => matches(host))
      const isUnder = paths.length === 0 || paths.some((path) => url.pathname.startsWith(path))
      if (isAt && isUnder) spans.push([start, end])
    }
    return spans
  }
}

/** Outwards from each `://`, so that a text without any costs nothing. */
function urlsIn(text: string): Span[] {
  const spans: Span[] = []
  for (let at = text.indexOf('://'); at >= 0; at = text.indexOf('://', at + 3)) {
    let start = at
    while (start > 0 && at - start < 31 && SCHEME.test(text.charAt(start - 1))) start--
    REST.lastIndex = at
    if (start < at && REST.test(text)) spans.push([start, REST.lastIndex])
  }
  return spans
}

/** Schemes that are not of the web keep their host as written. */
function hostOf(url: URL): string | undefined {
  if (/^(https?|wss?|ftp):$/.test(url.protocol)) return url.hostname
  return URL.parse(`http://${url.host}/`)?.hostname ?? url.hostname.toLowerCase()
}

function hostMatcher(pattern: string): (host: string) => boolean {
  const wanted = pattern.toLowerCase()
  if (wanted.startsWith('*.')) return (host) => host.endsWith(wanted.slice(1))
  return (host) => host === wanted
}

/** Texts in which a statement begins with one of these verbs; the whole text is the place. */
export function sqlFinder(verbs: readonly string[]): Finder {
  const wanted = new Set(verbs.map((verb) => verb.toUpperCase()))
  return (text) => (verbsOf(text).some((verb) => wanted.has(verb)) ? [[0, text.length]] : [])
}

/** Statements that carry another one inside. */
const CARRIERS: ReadonlySet<string> = new Set(['WITH', 'EXPLAIN', 'PREPARE', 'EXECUTE', 'DO', 'BEGIN', 'DECLARE'])

/** The first word of each statement; of one that carries another (`WITH … DELETE`), every word. */
function verbsOf(sql: string): string[] {
  return codeOf(sql)
    .split(';')
    .flatMap((statement) => {
      const words = statement.toUpperCase().match(/[A-Z_]+/g) ?? []
      return CARRIERS.has(words[0] ?? '') ? words : words.slice(0, 1)
    })
}

/** What opens something that is no code, and what ends it. MySQL runs what stands in `/*!`, so that is code. */
const NO_CODE = [
  ["'", "'"],
  ['"', '"'],
  ['`', '`'],
  ['$$', '$$'],
  ['--', '\n'],
  ['/*', '*/'],
] as const

/** The text without quoted texts and comments. What is not ended ends with the text. */
function codeOf(sql: string): string {
  let code = ''
  let at = 0
  while (at < sql.length) {
    const opening = NO_CODE.find(([open]) => sql.startsWith(open, at))
    if (opening === undefined || sql.startsWith('/*!', at)) {
      code += sql.startsWith('/*!', at) || sql.startsWith('*/', at) ? ' ' : sql.charAt(at)
      at += sql.startsWith('/*!', at) ? 3 : 1
      continue
    }
    const [open, close] = opening
    const end = sql.indexOf(close, at + open.length)
    at = end < 0 ? sql.length : end + close.length
    code += ' '
  }
  return code
}
