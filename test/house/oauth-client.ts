/** The least of an OAuth client and its browser, for tests that say exactly what goes over the wire. */
import { createHash, randomBytes } from 'node:crypto'
import { isJsonObject, type JsonObject } from '#kernel'
import type { TestHouse } from './start-house.ts'

export const REDIRECT = 'http://127.0.0.1:3118/callback'

export type Answer = { readonly status: number; readonly headers: Headers; readonly body: JsonObject }

export async function post(
  url: string,
  form: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return toAnswer(await fetch(url, { method: 'POST', body: new URLSearchParams(form), headers, redirect: 'manual' }))
}

export async function register(house: TestHouse, metadata: JsonObject = {}): Promise<Answer> {
  const body = {
    client_name: 'A client',
    redirect_uris: [REDIRECT],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'none',
    ...metadata,
  }
  const headers = { 'content-type': 'application/json' }
  return toAnswer(await fetch(`${house.url}/oauth/register`, { method: 'POST', body: JSON.stringify(body), headers }))
}

/** One browser: its cookies, by name. */
export class Browser {
  readonly #cookies = new Map<string, string>()

  get cookie(): string {
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  }

  async visit(url: string): Promise<{ status: number; location: string; text: string }> {
    const response = await fetch(url, { headers: { cookie: this.cookie }, redirect: 'manual' })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === '') this.#cookies.delete(name)
      else this.#cookies.set(name, value)
    }
    const location = response.headers.get('location') ?? ''
    return { status: response.status, location: location && new URL(location, url).href, text: await response.text() }
  }
}

export type Wish = {
  readonly clientId: string
  readonly accountId: string
  readonly gateway: string
  readonly change?: (params: URLSearchParams) => void
  readonly browser?: Browser
  /** How the person signed in; by password unless it is said. */
  readonly factor?: string
}

const verifier = (): string => randomBytes(32).toString('base64url')
const challengeOf = (text: string): string => createHash('sha256').update(text).digest('base64url')

/** Goes to the authorization endpoint, lets the person say yes, and comes back with whatever the client is told. */
export async function authorize(house: TestHouse, wish: Wish): Promise<{ back: URL; codeVerifier: string }> {
  const codeVerifier = verifier()
  const params = new URLSearchParams({
    response_type: 'code',
    client_id: wish.clientId,
    redirect_uri: REDIRECT,
    state: 'the-state',
    code_challenge: challengeOf(codeVerifier),
    code_challenge_method: 'S256',
    resource: `${house.url}/mcp/${wish.gateway}`,
    scope: 'mcp offline_access',
  })
  wish.change?.(params)
  const browser = wish.browser ?? new Browser()
  const asked = await browser.visit(`${house.url}/oauth/authorize?${params}`)
  const uid = /\/signin\/([\w-]+)$/.exec(asked.location)?.[1]
  if (uid === undefined) return { back: new URL(asked.location || 'about:blank'), codeVerifier }
  const by = { accountId: wish.accountId, factor: wish.factor ?? 'password', signedInAt: Date.now() }
  const onward = await house.gatehouse.oauth.server.allow(browser.cookie, { uid, by })
  const done = await browser.visit(onward)
  return { back: new URL(done.location || `about:blank#${done.status}${done.text}`), codeVerifier }
}

export function redeem(house: TestHouse, code: { clientId: string; back: URL; codeVerifier: string }): Promise<Answer> {
  return post(`${house.url}/oauth/token`, {
    grant_type: 'authorization_code',
    client_id: code.clientId,
    code: code.back.searchParams.get('code') ?? '',
    redirect_uri: REDIRECT,
    code_verifier: code.codeVerifier,
  })
}

export function refresh(house: TestHouse, token: { clientId: string; refreshToken: string }): Promise<Answer> {
  const { clientId, refreshToken } = token
  return post(`${house.url}/oauth/token`, {
    grant_type: 'refresh_token',
    client_id: clientId,
    refresh_token: refreshToken,
  })
}

export type Tokens = { readonly clientId: string; readonly access: string; readonly refreshToken: string }

/** A new client, let in by this person for this gateway. */
export async function tokensFor(house: TestHouse, who: Omit<Wish, 'clientId'>): Promise<Tokens> {
  const clientId = textOf((await register(house)).body['client_id'])
  const answer = await redeem(house, { clientId, ...(await authorize(house, { clientId, ...who })) })
  return { clientId, access: textOf(answer.body['access_token']), refreshToken: textOf(answer.body['refresh_token']) }
}

export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

async function toAnswer(response: Response): Promise<Answer> {
  const text = await response.text()
  const parsed: unknown = text.startsWith('{') ? JSON.parse(text) : {}
  return { status: response.status, headers: response.headers, body: isJsonObject(parsed) ? parsed : {} }
}
