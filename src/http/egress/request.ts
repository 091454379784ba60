import type { Dispatcher } from 'undici'
import { Problem } from '#kernel'
import type { EgressRequest, EgressResponse } from './egress.ts'
import { BAD_URL, REFUSED_REDIRECT, RESPONSE_TOO_LARGE } from './problems.ts'

const MAX_REDIRECTS = 3
const IDLE_TIMEOUT_MS = 30_000
const MAX_REDIRECT_BODY_BYTES = 16_384

/** `home` dials the origin that was asked for, `abroad` every other one that a redirect names. */
type Dispatchers = { readonly home: Dispatcher; readonly abroad: Dispatcher }

/** Sends a request and follows its redirects; each hop is dialled through the guard anew. */
export async function sendFollowing({ home, abroad }: Dispatchers, request: EgressRequest): Promise<EgressResponse> {
  let hop = firstHop(request)
  const { origin } = hop.url
  for (let redirects = 0; ; redirects++) {
    const response = await send(hop.url.origin === origin ? home : abroad, hop, request)
    const location = redirectLocation(response)
    if (location === undefined) return readResponse(response, hop.url, request.maxBytes)
    await response.body.dump({ limit: MAX_REDIRECT_BODY_BYTES, signal: request.signal })
    if (redirects === MAX_REDIRECTS) throw refusedRedirect(hop.url, `it redirected more than ${MAX_REDIRECTS} times`)
    hop = nextHop(hop, location, response.statusCode)
  }
}

type Headers = Readonly<Record<string, string>>
type Hop = {
  readonly url: URL
  readonly method: EgressRequest['method']
  readonly headers: Headers
  readonly credentials: Headers
  readonly body: string | Buffer | undefined
}

function firstHop({ url: text, method, headers = {}, credentials = {}, body }: EgressRequest): Hop {
  const url = URL.parse(text)
  if (!url) throw new Problem(BAD_URL, `"${text.slice(0, 200)}" is not a URL. Write it like https://host/path.`)
  const refusal = refusalOf(url)
  if (refusal) throw new Problem(BAD_URL, `${withoutSecrets(url)} cannot be requested: ${refusal}.`)
  return { url, method, headers, credentials, body }
}

/** The next request of a redirect. Method and body follow the fetch standard, §4.4. */
function nextHop(hop: Hop, location: string, status: number): Hop {
  const url = URL.parse(location, hop.url)
  if (!url) throw refusedRedirect(hop.url, 'the redirect has no readable location')
  const refusal = refusalOf(url)
  if (refusal) throw refusedRedirect(hop.url, refusal)
  if (hop.url.protocol === 'https:' && url.protocol === 'http:') {
    throw refusedRedirect(hop.url, 'it redirected from https to http')
  }
  const becomesGet = status === 303 ? hop.method !== 'HEAD' : status <= 302 && hop.method === 'POST'
  if (url.origin !== hop.url.origin && hop.body !== undefined && !becomesGet) {
    throw refusedRedirect(hop.url, 'it wants what was sent to be sent to another origin')
  }
  const next = url.origin === hop.url.origin ? { ...hop, url } : { ...hop, url, ...anonymous(hop.headers) }
  return becomesGet ? { ...next, method: 'GET', body: undefined, headers: without(next.headers, BODY_HEADERS) } : next
}

async function send(dispatcher: Dispatcher, hop: Hop, request: EgressRequest): Promise<Dispatcher.ResponseData> {
  const idleMs = request.idleTimeoutMs ?? IDLE_TIMEOUT_MS
  return dispatcher.request({
    origin: hop.url.origin,
    path: `${hop.url.pathname}${hop.url.search}`,
    method: hop.method,
    headers: { ...hop.headers, ...hop.credentials },
    body: hop.body ?? null,
    signal: request.signal,
    headersTimeout: idleMs,
    bodyTimeout: idleMs,
  })
}

async function readResponse(response: Dispatcher.ResponseData, url: URL, maxBytes: number): Promise<EgressResponse> {
  const { statusCode: status, headers, body } = response
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    const bytes: Buffer = Buffer.from(chunk)
    size += bytes.length
    // Leaving the loop destroys the body, and with it the connection.
    if (size > maxBytes) {
      throw new Problem(RESPONSE_TOO_LARGE, `${withoutSecrets(url)} answered with more than ${maxBytes} bytes.`)
    }
    chunks.push(bytes)
  }
  return { status, headers, body: Buffer.concat(chunks), url: url.href }
}

function redirectLocation(response: Dispatcher.ResponseData): string | undefined {
  if (!REDIRECTS.has(response.statusCode)) return undefined
  const { location } = response.headers
  return Array.isArray(location) ? location[0] : location
}

function refusalOf(url: URL): string | undefined {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return `"${url.protocol}" is neither http: nor https:`
  if (url.username !== '' || url.password !== '') return 'user and password do not belong in a URL'
  return undefined
}

function refusedRedirect(from: URL, reason: string): Problem {
  return new Problem(REFUSED_REDIRECT, `The redirect of ${withoutSecrets(from)} was not followed: ${reason}.`)
}

/** Queries and userinfo may hold secrets, so messages show only where. */
function withoutSecrets(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`.slice(0, 300)
}

function anonymous(headers: Headers): Pick<Hop, 'headers' | 'credentials'> {
  return { headers: without(headers, CREDENTIAL_HEADERS), credentials: {} }
}

function without(headers: Headers, names: ReadonlySet<string>): Headers {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !names.has(name.toLowerCase())))
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
const BODY_HEADERS: ReadonlySet<string> = new Set([
  'content-type',
  'content-length',
  'content-encoding',
  'content-language',
  'content-location',
])
const CREDENTIAL_HEADERS: ReadonlySet<string> = new Set(['authorization', 'cookie', 'proxy-authorization'])
