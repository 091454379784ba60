import { wildcard } from '#kernel'
import type { Finder, Span } from './span.ts'

const SCHEME = /[A-Za-z0-9+.-]/
/** Those that clients read leniently: `\` counts as `/`, and none, one or many of them may stand before the host. */
const OF_THE_WEB = /(?:^|[^A-Za-z0-9+.-])((?:https?|wss?|ftp):)$/i
const LONGEST_OF_THE_WEB = 7
const REST = /[^\s"'<>\\^`{|}]{1,4096}/y
const REST_OF_THE_WEB = /[^\s"'<>^`{|}]{1,4096}/y
/** Clients leave out tabs and ends of lines inside of an address. What comes behind one is told from the next address. */
const OVER_BREAKS = /[^ \f\v"'<>^`{|}:]{1,256}/y

/** An honest text has its addresses one behind the other, and few inside of others. */
const mostFor = (text: string): number => 3 * text.length + 16_384

/**
 * URLs of these hosts and paths, read as every client reads them (WHATWG URL): case, user names, `0x7f.1`, punycode,
 * `http:\\host`. Paths are compared as lenient servers do: whatever the case, and `//` as `/`. Where more addresses stand
 * inside of others than can be read in linear time, all that is left counts as one of them.
 */
export function urlFinder(hosts: readonly string[], paths: readonly string[]): Finder {
  const isHost = hosts.map(hostMatcher)
  const isPath = paths.map((path) => wildcard(`${path.toLowerCase()}*`))
  const isMeant = (text: string): boolean => {
    const url = URL.parse(text)
    if (url === null) return false
    const host = hostOf(url)
    const path = url.pathname.toLowerCase().replaceAll(/\/{2,}/g, '/')
    const isAt = isHost.length === 0 || isHost.some((matches) => matches(host))
    return isAt && (isPath.length === 0 || isPath.some((matches) => matches(path)))
  }
  return (text) => {
    const spans: Span[] = []
    let left = mostFor(text)
    for (const [start, end] of urlsIn(text)) {
      left -= end - start
      if (left < 0) return [...spans, [start, text.length]]
      if (isMeant(text.slice(start, end))) spans.push([start, end])
    }
    return spans
  }
}

/** Outwards from each `:`, so that a text without any costs nothing. What could be read in two ways is there twice. */
function* urlsIn(text: string): Generator<Span> {
  for (let at = text.indexOf(':'); at >= 0; at = text.indexOf(':', at + 1)) {
    const web = schemeOfTheWeb(text, at)
    if (web !== '') yield* lenientAt(text, at, web)
    else if (text.startsWith('//', at + 1)) yield* absoluteAt(text, at)
  }
}

const ENDS_OF_SCHEMES: ReadonlySet<string> = new Set('pPsS')

function schemeOfTheWeb(text: string, colon: number): string {
  if (!ENDS_OF_SCHEMES.has(text.charAt(colon - 1))) return ''
  const [, web = ''] = OF_THE_WEB.exec(text.slice(Math.max(0, colon - LONGEST_OF_THE_WEB), colon + 1)) ?? []
  return web
}

function* lenientAt(text: string, colon: number, web: string): Generator<Span> {
  const start = colon + 1 - web.length
  const end = endOf(REST_OF_THE_WEB, text, colon)
  if (end <= colon + 1) return
  yield [start, end]
  if (/[\t\r\n]/.test(text.charAt(end))) yield [start, endOf(OVER_BREAKS, text, end)]
}

function* absoluteAt(text: string, colon: number): Generator<Span> {
  const start = startOfScheme(text, colon)
  if (start < colon) yield [start, endOf(REST, text, colon)]
}

function startOfScheme(text: string, colon: number): number {
  let start = colon
  while (start > 0 && colon - start < 31 && SCHEME.test(text.charAt(start - 1))) start--
  return start
}

function endOf(rest: RegExp, text: string, start: number): number {
  rest.lastIndex = start
  return rest.test(text) ? rest.lastIndex : start
}

/** Schemes that are not of the web keep their host as written. */
function hostOf(url: URL): string {
  const isWeb = /^(https?|wss?|ftp):$/.test(url.protocol)
  const host = isWeb ? url.hostname : (URL.parse(`http://${url.host}/`)?.hostname ?? url.hostname.toLowerCase())
  return dotted(host.replace(/\.$/, ''))
}

/** An IPv4 address inside of an IPv6 one (RFC 4291 §2.5.5.2) leads to the same machine. */
function dotted(host: string): string {
  const [, high, low] = /^\[::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/.exec(host) ?? []
  if (high === undefined || low === undefined) return host
  return [high, low].flatMap((part) => [Number.parseInt(part, 16) >> 8, Number.parseInt(part, 16) & 0xff]).join('.')
}

/** `name`, `*.name` or `*`, as the pattern of a rule; null where it is none. */
export function hostPattern(pattern: string): string | null {
  if (pattern === '*') return '*'
  const [star, name] = pattern.startsWith('*.') ? ['*.', pattern.slice(2)] : ['', pattern]
  if (/[\s/:@?#*\\]/.test(name.replace(/^\[[0-9a-f:.]+\]$/i, ''))) return null
  const host = URL.parse(`http://${name}/`)?.hostname
  return host === undefined || host === '' ? null : star + host.replace(/\.$/, '')
}

function hostMatcher(pattern: string): (host: string) => boolean {
  const wanted = hostPattern(pattern) ?? ''
  if (wanted === '*') return () => true
  if (wanted.startsWith('*.')) return (host) => host.endsWith(wanted.slice(1))
  return (host) => host === wanted
}
