/**
 * A web application that lets people sign in with the house, on `openid-client`: asks who they are at userinfo, signs them
 * out here and there (RP-Initiated Logout), and is told when they sign out elsewhere (Back-Channel Logout 1.0).
 */
import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import * as oidc from 'openid-client'
import { isJsonObject, type JsonObject } from '#kernel'
import { listen, readText, type Listening } from './listen.ts'

export type RelyingParty = Listening & {
  /** What it says of itself when it is registered. */
  readonly metadata: JsonObject
  /** Asks this server from now on, as this client. */
  trust(server: { issuer: string; clientId: string; clientSecret: string }): Promise<void>
  /** Who is signed in here, in any browser. */
  readonly people: () => readonly string[]
  /** Every logout token that was taken, or why it was not. */
  readonly told: readonly unknown[]
}

type Begun = { readonly verifier: string; readonly state: string; readonly nonce: string }
type Session = { readonly name: string; readonly sub: string; readonly sid: unknown; readonly idToken: string }

export async function startRelyingParty(name: string): Promise<RelyingParty> {
  const party = new Party(name)
  const http = await listen((req, res) => void party.answer(req, res).catch((error) => fail(res, error)), { path: '' })
  party.url = http.url.replace('127.0.0.1', 'localhost')
  return {
    ...http,
    url: party.url,
    metadata: {
      client_name: name,
      redirect_uris: [`${party.url}/callback`],
      post_logout_redirect_uris: [`${party.url}/signed-out`],
      backchannel_logout_uri: `${http.url}/back-channel`,
      backchannel_logout_session_required: true,
      token_endpoint_auth_method: 'client_secret_basic',
    },
    trust: (server) => party.trust(server),
    people: () => [...party.sessions.values()].map((session) => session.name),
    told: party.told,
  }
}

class Party {
  url = ''
  readonly sessions = new Map<string, Session>()
  readonly told: unknown[] = []
  readonly #name: string
  readonly #begun = new Map<string, Begun>()
  #configuration: oidc.Configuration | undefined

  constructor(name: string) {
    this.#name = name
  }

  async trust({ issuer, clientId, clientSecret }: Parameters<RelyingParty['trust']>[0]): Promise<void> {
    const auth = oidc.ClientSecretBasic(clientSecret)
    const execute = [oidc.allowInsecureRequests, oidc.enableNonRepudiationChecks]
    this.#configuration = await oidc.discovery(new URL(issuer), clientId, undefined, auth, { execute })
  }

  async answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const at = new URL(req.url ?? '/', this.url)
    const browser = /(?:^|; )party=([\w-]+)/.exec(req.headers.cookie ?? '')?.[1] ?? randomBytes(16).toString('hex')
    res.setHeader('set-cookie', `party=${browser}; HttpOnly; SameSite=Lax`)
    switch (at.pathname) {
      case '/':
        return page(res, `${this.#name}: ${this.sessions.get(browser)?.name ?? 'nobody'}`)
      case '/sign-in':
        return this.#leave(res, browser)
      case '/callback':
        return this.#comeBack(res, browser, at)
      case '/sign-out':
        return this.#signOut(res, browser)
      case '/signed-out':
        return page(res, `${this.#name}: goodbye ${at.searchParams.get('state') ?? ''}`)
      case '/back-channel':
        return this.#hear(res, await readText(req))
      default:
        return void res.writeHead(404).end()
    }
  }

  async #leave(res: ServerResponse, browser: string): Promise<void> {
    const begun = { verifier: oidc.randomPKCECodeVerifier(), state: oidc.randomState(), nonce: oidc.randomNonce() }
    this.#begun.set(browser, begun)
    const url = oidc.buildAuthorizationUrl(this.#server(), {
      redirect_uri: `${this.url}/callback`,
      scope: 'openid profile email',
      state: begun.state,
      nonce: begun.nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(begun.verifier),
      code_challenge_method: 'S256',
    })
    redirect(res, url)
  }

  async #comeBack(res: ServerResponse, browser: string, at: URL): Promise<void> {
    const begun = this.#begun.get(browser)
    if (begun === undefined) return void res.writeHead(400).end('nobody left from this browser')
    this.#begun.delete(browser)
    const tokens = await oidc.authorizationCodeGrant(this.#server(), at, {
      pkceCodeVerifier: begun.verifier,
      expectedState: begun.state,
      expectedNonce: begun.nonce,
      idTokenExpected: true,
    })
    const claims = tokens.claims()
    const person = await oidc.fetchUserInfo(this.#server(), tokens.access_token, claims?.sub ?? '')
    const name = person.preferred_username ?? '?'
    this.sessions.set(browser, { name, sub: person.sub, sid: claims?.['sid'], idToken: tokens.id_token ?? '' })
    redirect(res, new URL('/', this.url))
  }

  #signOut(res: ServerResponse, browser: string): void {
    const idToken = this.sessions.get(browser)?.idToken ?? ''
    this.sessions.delete(browser)
    const back = { post_logout_redirect_uri: `${this.url}/signed-out`, state: 'and thank you' }
    redirect(res, oidc.buildEndSessionUrl(this.#server(), { ...back, id_token_hint: idToken }))
  }

  /** Back-Channel Logout 1.0 §2.6: what makes a logout token one. */
  async #hear(res: ServerResponse, body: string): Promise<void> {
    const server = this.#server().serverMetadata()
    const audience = this.#server().clientMetadata().client_id
    const keys = createRemoteJWKSet(new URL(server.jwks_uri ?? ''))
    const token = new URLSearchParams(body).get('logout_token') ?? ''
    const checks = { issuer: server.issuer, audience, typ: 'logout+jwt', requiredClaims: ['iat', 'exp', 'jti', 'sid'] }
    const claims = await jwtVerify(token, keys, checks).then(
      ({ payload }) => payload,
      (error: Error) => error.message,
    )
    const isLogout = typeof claims === 'object' && isLogoutToken(claims)
    this.told.push(claims)
    if (!isLogout) return void res.writeHead(400, { 'cache-control': 'no-store' }).end()
    for (const [browser, { sid }] of this.sessions) if (sid === claims['sid']) this.sessions.delete(browser)
    res.writeHead(200, { 'cache-control': 'no-store' }).end()
  }

  #server(): oidc.Configuration {
    if (this.#configuration === undefined) throw new Error('this party trusts nobody yet')
    return this.#configuration
  }
}

function isLogoutToken(claims: Readonly<Record<string, unknown>>): boolean {
  const { events, nonce } = claims
  return isJsonObject(events) && 'http://schemas.openid.net/event/backchannel-logout' in events && nonce === undefined
}

function page(res: ServerResponse, text: string): void {
  res.writeHead(200, { 'content-type': 'text/html' }).end(`<!doctype html><title>Party</title><h1>${text}</h1>`)
}

function redirect(res: ServerResponse, url: URL): void {
  res.writeHead(303, { location: url.href }).end()
}

function fail(res: ServerResponse, error: unknown): void {
  res.writeHead(500, { 'content-type': 'text/plain' }).end(String(error))
}
