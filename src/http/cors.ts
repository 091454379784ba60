/** What a browser asks and says about a page of another origin (WHATWG Fetch §3.2). */
export type PageRequest = {
  readonly method: string | undefined
  readonly origin: string
  readonly requestedMethod: string | undefined
  readonly requestedHeaders: string | undefined
}

export type PageAnswer = {
  readonly headers: Readonly<Record<string, string>>
  /** It was only the question before the request: answer 204 with these headers and nothing else. */
  readonly isPreflight: boolean
}

const EXPOSED = 'Mcp-Session-Id, WWW-Authenticate, Retry-After'
const METHODS = 'GET, POST, PUT, DELETE'
const MAX_AGE_SECONDS = 600

/**
 * Lets a page read our answers. For pages that the guard has let in only; they bring their key themselves, as browsers
 * are never told to send credentials of their own.
 */
export function answerPage({ method, origin, requestedMethod, requestedHeaders }: PageRequest): PageAnswer {
  const headers = { 'access-control-allow-origin': origin, vary: 'Origin', 'access-control-expose-headers': EXPOSED }
  if (method !== 'OPTIONS' || requestedMethod === undefined) return { headers, isPreflight: false }
  const asked = requestedHeaders !== undefined && /^[\w\-, ]{1,1024}$/.test(requestedHeaders) ? requestedHeaders : ''
  const preflight = {
    ...headers,
    'access-control-allow-methods': METHODS,
    'access-control-max-age': `${MAX_AGE_SECONDS}`,
    ...(asked === '' ? {} : { 'access-control-allow-headers': asked }),
  }
  return { headers: preflight, isPreflight: true }
}
