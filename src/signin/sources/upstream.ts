import { createRemoteJWKSet, customFetch, jwtVerify, type JWTVerifyGetKey } from 'jose'
import * as oidc from 'openid-client'
import * as z from 'zod'
import type { Egress } from '#http'
import { isJsonObject, Problem, type JsonObject } from '#kernel'
import type { IdentitySource } from './config.ts'
import { SOURCE_REFUSED, SOURCE_UNREACHABLE } from '../problems.ts'
import { completeClaims } from './userinfo.ts'

/** What is kept in the browser, sealed, between leaving for a source and coming back. */
export const pendingCheck = z.object({
  state: z.string(),
  nonce: z.string(),
  verifier: z.string(),
  /** Where the browser was sent: a source may be declared anew while it is away. */
  issuer: z.string(),
})
export type PendingCheck = z.output<typeof pendingCheck>

/** One identity provider as a relying party sees it. */
export type Upstream = {
  /** Where to send the browser, and what to remember until it comes back. */
  begin(redirectUri: string): Promise<{ url: string; pending: PendingCheck }>
  /** The verified claims of whoever came back with this URL. Refuses whatever does not belong to `pending`. */
  finish(callbackUrl: URL, pending: PendingCheck): Promise<JsonObject>
  /** What a JWT says that this provider signed lately for this audience. Throws where it did not. */
  verify(token: string, wanted: { typ: string; audience: string }): Promise<JsonObject>
  close(): Promise<void>
}

const DEADLINE_MS = 10_000
const MAX_BYTES = 1_048_576
const METADATA_MS = 3_600_000

/** Opens the way to a source; nothing is asked before somebody signs in. */
export function openUpstream(source: IdentitySource, deps: { egress: Egress; now: () => number }): Upstream {
  // The issuer was declared in the config file, so it may be anywhere. What its metadata names, and where it redirects
  // to, is its own word: the public web, or what was declared as well.
  const allow = [new URL(source.issuer).hostname.replace(/^\[|\]$/g, ''), ...source.allow_hosts]
  const client = deps.egress.open({ trusted: false, allow, connections: 8 })
  let known: { configuration: Promise<oidc.Configuration>; until: number } | undefined
  const configuration = (): Promise<oidc.Configuration> => {
    if (known === undefined || known.until <= deps.now()) {
      const discovered = discover(source, fetchThrough(client))
      known = { configuration: discovered, until: deps.now() + METADATA_MS }
      discovered.catch(() => (known = undefined))
    }
    return known.configuration
  }
  let keys: { from: string; find: JWTVerifyGetKey } | undefined
  const keysOf = ({ jwks_uri: from = '' }: oidc.ServerMetadata): JWTVerifyGetKey => {
    if (keys?.from !== from) keys = { from, find: remoteKeys(from, fetchThrough(client)) }
    return keys.find
  }
  return {
    begin: async (redirectUri) => begin(source, await configuration(), redirectUri),
    finish: async (callbackUrl, pending) => finish(source, await configuration(), { callbackUrl, pending }),
    verify: async (token, wanted) => {
      const find = keysOf((await configuration()).serverMetadata())
      return verify(source, token, { ...wanted, find, now: deps.now() })
    },
    close: () => client.close(),
  }
}

async function begin(source: IdentitySource, configuration: oidc.Configuration, redirectUri: string) {
  const pending = {
    state: oidc.randomState(),
    nonce: oidc.randomNonce(),
    verifier: oidc.randomPKCECodeVerifier(),
    issuer: source.issuer,
  }
  // No `resource`: Entra refuses it, and nothing here is asked for but who somebody is.
  const url = oidc.buildAuthorizationUrl(configuration, {
    redirect_uri: redirectUri,
    scope: [...new Set(['openid', ...source.scopes])].join(' '),
    state: pending.state,
    nonce: pending.nonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(pending.verifier),
    code_challenge_method: 'S256',
  })
  return { url: url.href, pending }
}

async function finish(
  source: IdentitySource,
  configuration: oidc.Configuration,
  { callbackUrl, pending }: { callbackUrl: URL; pending: PendingCheck },
): Promise<JsonObject> {
  // A code of the provider before is nothing that this one shall see.
  if (pending.issuer !== source.issuer)
    throw new Problem(SOURCE_REFUSED, `"${titleOf(source)}" was changed in between. Start again.`)
  try {
    // Checks state, `iss` (RFC 9207), the signature, issuer, audience, times and nonce of the ID token.
    const tokens = await oidc.authorizationCodeGrant(configuration, callbackUrl, {
      expectedState: pending.state,
      expectedNonce: pending.nonce,
      pkceCodeVerifier: pending.verifier,
      idTokenExpected: true,
    })
    return await completeClaims(source, configuration, tokens)
  } catch (cause) {
    if (cause instanceof Problem) throw cause
    throw new Problem(SOURCE_REFUSED, `"${titleOf(source)}" did not sign you in. Start again.`, { cause })
  }
}

const ASYMMETRIC = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
const MAX_AGE_SECONDS = 300
const CLOCK_SKEW_SECONDS = 10

async function verify(
  source: IdentitySource,
  token: string,
  wanted: { typ: string; audience: string; find: JWTVerifyGetKey; now: number },
): Promise<JsonObject> {
  const { typ, audience, find, now } = wanted
  const { payload } = await jwtVerify(token, find, {
    issuer: source.issuer,
    audience,
    typ,
    algorithms: ASYMMETRIC,
    requiredClaims: ['sub', 'jti', 'iat', 'exp'],
    maxTokenAge: MAX_AGE_SECONDS,
    clockTolerance: CLOCK_SKEW_SECONDS,
    currentDate: new Date(now),
  })
  const { iat = 0, exp = 0, aud } = payload
  if (exp - iat > MAX_AGE_SECONDS) throw new Error('it is good for more than five minutes')
  if (Array.isArray(aud) && aud.length > 1) throw new Error('it is for others too')
  const claims: unknown = payload
  if (!isJsonObject(claims)) throw new Error('it says nothing that can be read')
  return claims
}

function remoteKeys(from: string, fetch: Fetch): JWTVerifyGetKey {
  return createRemoteJWKSet(new URL(from), {
    timeoutDuration: DEADLINE_MS,
    [customFetch]: (url: string, options: RequestInit) =>
      fetch(url, {
        method: 'GET',
        headers: Object.fromEntries(new Headers(options.headers).entries()),
        body: undefined,
        redirect: 'manual',
        ...(options.signal ? { signal: options.signal } : {}),
      }),
  })
}

type Fetch = oidc.CustomFetch

/** Reads the provider's metadata. Its issuer must be the one that was declared. */
async function discover(source: IdentitySource, fetch: Fetch): Promise<oidc.Configuration> {
  const metadata = await readMetadata(source, fetch)
  const auth = source.client_secret === undefined ? oidc.None() : authOf(metadata, source.client_secret)
  const configuration = new oidc.Configuration(
    metadata,
    source.client_id,
    { id_token_signed_response_alg: algOf(metadata) },
    auth,
  )
  configuration[oidc.customFetch] = fetch
  configuration.timeout = DEADLINE_MS / 1_000
  oidc.enableNonRepudiationChecks(configuration)
  if (new URL(source.issuer).protocol === 'http:') oidc.allowInsecureRequests(configuration)
  return configuration
}

const metadataSchema = z.looseObject({
  issuer: z.string(),
  authorization_endpoint: z.url(),
  token_endpoint: z.url(),
  jwks_uri: z.url(),
  userinfo_endpoint: z.url().exactOptional(),
  token_endpoint_auth_methods_supported: z.array(z.string()).exactOptional(),
  id_token_signing_alg_values_supported: z.array(z.string()).exactOptional(),
})

async function readMetadata(source: IdentitySource, fetch: Fetch): Promise<oidc.ServerMetadata> {
  const url = `${source.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  try {
    const response = await fetch(url, {
      method: 'GET',
      headers: { accept: 'application/json' },
      body: undefined,
      redirect: 'manual',
    })
    if (response.status !== 200) throw new Error(`it answered with status ${response.status}`)
    const metadata = metadataSchema.parse(await response.json())
    const issuer = pinnedIssuer(source, metadata.issuer)
    if (issuer === null)
      throw new Error(`its issuer is "${metadata.issuer.slice(0, 200)}", not the one that was declared`)
    return { ...metadata, issuer }
  } catch (cause) {
    throw new Problem(SOURCE_UNREACHABLE, `"${titleOf(source)}" cannot be asked right now. Try again in a moment.`, {
      cause,
    })
  }
}

/** Entra publishes `https://…/{tenantid}/v2.0` at some of its addresses; the declared tenant is put in its place. */
export function pinnedIssuer(source: Pick<IdentitySource, 'issuer' | 'kind'>, published: string): string | null {
  if (published === source.issuer) return published
  if (source.kind !== 'entra' || !published.includes('{tenantid}')) return null
  const [before = '', after = ''] = published.split('{tenantid}')
  const { issuer } = source
  if (!issuer.startsWith(before) || !issuer.endsWith(after)) return null
  const tenant = issuer.slice(before.length, issuer.length - after.length)
  return /^[\w.-]{1,100}$/.test(tenant) ? issuer : null
}

function authOf(metadata: oidc.ServerMetadata, secret: string): oidc.ClientAuth {
  const supported = metadata.token_endpoint_auth_methods_supported
  const takesBasic = supported === undefined || supported.includes('client_secret_basic')
  return takesBasic ? oidc.ClientSecretBasic(secret) : oidc.ClientSecretPost(secret)
}

/** Never `none`, and never a symmetric one. */
function algOf(metadata: oidc.ServerMetadata): string {
  const supported = metadata.id_token_signing_alg_values_supported ?? ['RS256']
  return (
    ['RS256', 'ES256', 'PS256', 'EdDSA', 'Ed25519', 'ES384', 'RS512'].find((alg) => supported.includes(alg)) ?? 'RS256'
  )
}

function fetchThrough(client: ReturnType<Egress['open']>): Fetch {
  return async (url, options) => {
    const response = await client.request({
      url,
      method: options.method === 'POST' ? 'POST' : 'GET',
      headers: Object.fromEntries(new Headers(options.headers).entries()),
      ...(options.body === undefined || options.body === null ? {} : { body: textOf(options.body) }),
      signal: AbortSignal.any([AbortSignal.timeout(DEADLINE_MS), ...(options.signal ? [options.signal] : [])]),
      maxBytes: MAX_BYTES,
    })
    const headers = Object.entries(response.headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value] as [string, string]],
    )
    const hasBody = response.status !== 204 && response.status !== 304
    return new Response(hasBody ? new Uint8Array(response.body) : null, { status: response.status, headers })
  }
}

/** What is sent to a token endpoint is a form. */
function textOf(body: unknown): string {
  if (typeof body === 'string' || body instanceof URLSearchParams) return body.toString()
  throw new Error('a request to an identity provider has an unknown kind of body')
}

/** Its name on the button. */
export function titleOf(source: Pick<IdentitySource, 'title' | 'name'>): string {
  return source.title ?? source.name
}
