import { createPublicKey, hash, verify, type KeyObject } from 'node:crypto'
import * as z from 'zod'
import { isJsonObject, Problem, type Clock, type Json, type JsonObject } from '#kernel'
import type { Authentication, Directory, Member } from '#identity'
import type { SigningKey } from './signing-keys/schema.ts'
import { INSUFFICIENT_SCOPE, INVALID_TOKEN, NOT_LET_IN } from './problems.ts'

/** What an access token of ours says, once its signature was found good. */
export type TokenClaims = {
  readonly accountId: string
  readonly clientId: string
  readonly grantId: string
  readonly tokenId: string
  /** Clients that act one for the other, the one that acts now first; none where the person let the client in. */
  readonly actors: readonly string[]
  /** Ids of the tokens that it was exchanged for, one after the other. */
  readonly madeFrom: readonly string[]
  /** The client that the person let in, or that acts by itself. */
  readonly firstClientId: string
  readonly audience: string
  readonly scopes: readonly string[]
  readonly factor: string | null
  readonly expiresAt: number
  /** What its grant and its client are stored as. */
  readonly refs: readonly string[]
}

export type VerifierDeps = {
  readonly clock: Clock
  /** Those whose tokens count now; the same array until it changes. */
  readonly keys: () => readonly SigningKey[]
  readonly issuer: () => string
  readonly directory: () => Directory
  readonly refOf: (id: string) => string
  /** Grants that were revoked, and clients that were removed, on any replica. */
  readonly isEnded: (ref: string) => boolean
  /** The login policy, asked anew at every use: why this account may not use this gateway now, or null. */
  readonly whyNot: (asked: {
    member: Member
    claims: Pick<TokenClaims, 'clientId' | 'factor'>
    /** Null: tokens of no gateway, with which a client learns who somebody is. */
    gateway: string | null
    address: string | null
  }) => string | null
}

export type TokenCredentials = {
  readonly authorization?: string | undefined
  readonly userId?: string | undefined
  readonly gateway: string
  readonly remoteAddress?: string | undefined
}

export type Verifier = {
  /** Whom an access token is used for, at once and without waiting; the same shape as for an API key. */
  authenticate(credentials: TokenCredentials): Authentication
  /** The claims of a token of ours that has not expired, whatever has become of its grant. */
  read(token: string): TokenClaims | null
}

const MAX_TOKEN_CHARS = 4_096
/** A signature is checked once in so long; whether it still counts, every time. */
const TRUSTED_MS = 30_000
const MAX_TRUSTED = 20_000

/** RFC 9068 access tokens, and nothing else: our issuer, our keys, one algorithm, one type, one gateway. */
export function createVerifier(deps: VerifierDeps): Verifier {
  let trusted = new Map<string, { claims: TokenClaims; until: number }>()
  let older = new Map<string, { claims: TokenClaims; until: number }>()
  let known = { keys: deps.keys(), byId: publicKeys(deps.keys()) }
  const keysNow = (): ReadonlyMap<string, KeyObject> => {
    const keys = deps.keys()
    if (keys === known.keys) return known.byId
    // What a key signed that is gone now counts no more, however lately it was found good.
    ;[trusted, older] = [new Map(), new Map()]
    known = { keys, byId: publicKeys(keys) }
    return known.byId
  }
  const read = (token: string): TokenClaims | null => {
    const now = deps.clock.now()
    const id = hash('sha256', token, 'base64url')
    const keys = keysNow()
    const seen = trusted.get(id) ?? older.get(id)
    if (seen !== undefined && seen.until > now) return seen.claims.expiresAt > now ? seen.claims : null
    const claims = parseToken(token, { keys, issuer: deps.issuer(), refOf: deps.refOf, now })
    if (claims === null) return null
    if (trusted.size >= MAX_TRUSTED) [older, trusted] = [trusted, new Map()]
    trusted.set(id, { claims, until: now + TRUSTED_MS })
    return claims
  }
  return {
    read,
    authenticate: (credentials) => {
      const token = (credentials.authorization ?? '').replace(/^bearer +/i, '').trim()
      const claims = token.length <= MAX_TOKEN_CHARS ? read(token) : null
      if (claims === null) return refuse(INVALID_TOKEN, 'The access token is not valid here or has expired.', null)
      return admit(deps, claims, credentials)
    },
  }
}

function admit(deps: VerifierDeps, claims: TokenClaims, credentials: TokenCredentials): Authentication {
  const { gateway, userId: named } = credentials
  const { accountId, clientId, grantId, scopes, refs, actors } = claims
  const member = deps.directory().findByAccountId(accountId)
  if (claims.audience !== `${deps.issuer()}/mcp/${gateway}`)
    return refuse(INVALID_TOKEN, 'The access token was made for another gateway; ask for one for this.', grantId)
  if (member === null || !member.isActive || refs.some(deps.isEnded))
    return refuse(INVALID_TOKEN, 'The access token was revoked. Sign in again.', grantId)
  if (!scopes.includes('mcp')) return refuse(INSUFFICIENT_SCOPE, 'The access token lacks the scope "mcp".', grantId)
  if (named !== undefined && named !== '' && named !== member.userId)
    return refuse(NOT_LET_IN, 'An access token may be used for its own user only; leave the user header out.', grantId)
  const why = deps.whyNot({ member, claims, gateway, address: credentials.remoteAddress ?? null })
  if (why !== null) return refuse(NOT_LET_IN, `The login policy does not let this account in here: ${why}`, grantId)
  const { userId, kind, role, groups, claims: said } = member
  const through = { keyId: grantId, clientId, actors, scopes, gateways: [gateway] }
  const principal = { userId, kind, accountId, role, groups, claims: said, ...through }
  return { ok: true, userId, keyId: grantId, gateways: [gateway], principal }
}

function refuse(kind: Problem['kind'], detail: string, keyId: string | null): Authentication {
  return { ok: false, problem: new Problem(kind, detail), keyId }
}

function publicKeys(keys: readonly SigningKey[]): ReadonlyMap<string, KeyObject> {
  return new Map(
    keys.filter(({ alg }) => alg === 'ES256').map(({ kid, privateKey }) => [kid, createPublicKey(privateKey)]),
  )
}

function parseToken(
  token: string,
  by: { keys: ReadonlyMap<string, KeyObject>; issuer: string; refOf: (id: string) => string; now: number },
): TokenClaims | null {
  const [head = '', body = '', signature = '', ...more] = token.split('.')
  const key = more.length > 0 ? null : chooseKey(parsePart(head), by.keys)
  if (key === null) return null
  const raw = Buffer.from(signature, 'base64url')
  // Node reads past padding, spaces and spare bits: one token has one spelling (RFC 7515 §2).
  if (raw.toString('base64url') !== signature) return null
  if (!verify('sha256', Buffer.from(`${head}.${body}`), { key, dsaEncoding: 'ieee-p1363' }, raw)) return null
  const claims = parsePart(body)
  return claims && isOfNow(claims, by) ? toClaims(claims, by.refOf) : null
}

/** RFC 9068 §2.1; the header chooses among our keys and nothing else: no `jwk`, no `jku`, no other algorithm. */
function chooseKey(header: JsonObject | null, keys: ReadonlyMap<string, KeyObject>): KeyObject | null {
  if (header?.['alg'] !== 'ES256' || header['typ'] !== 'at+jwt' || header['crit'] !== undefined) return null
  return keys.get(typeof header['kid'] === 'string' ? header['kid'] : '') ?? null
}

function isOfNow({ iss, exp, nbf }: JsonObject, by: { issuer: string; now: number }): boolean {
  if (iss !== by.issuer || typeof exp !== 'number' || exp * 1_000 <= by.now) return false
  return typeof nbf !== 'number' || nbf * 1_000 <= by.now + CLOCK_SKEW_MS
}

const CLOCK_SKEW_MS = 5_000

function toClaims(said: JsonObject, refOf: (id: string) => string): TokenClaims | null {
  const parsed = claimsOfOurs.safeParse(said)
  if (!parsed.success) return null
  const { sub, aud, exp, jti, client_id, gid, scope, amr, act = null } = parsed.data
  const { first_client_id: firstClientId = client_id, made_from: madeFrom } = parsed.data
  const actors = actorsOf(act)
  return {
    accountId: sub,
    clientId: client_id,
    grantId: gid,
    tokenId: jti,
    actors,
    audience: aud,
    scopes: scope.split(' '),
    factor: amr[0] ?? null,
    expiresAt: exp * 1_000,
    firstClientId,
    madeFrom,
    refs: [...new Set([gid, jti, client_id, firstClientId, ...actors, ...madeFrom])].map(refOf),
  }
}

const claimsOfOurs = z.object({
  sub: z.string(),
  aud: z.string(),
  exp: z.number(),
  jti: z.string(),
  client_id: z.string(),
  gid: z.string(),
  scope: z.string().default(''),
  amr: z.array(z.string()).default([]),
  act: z.json().optional(),
  first_client_id: z.string().optional(),
  made_from: z.array(z.string()).default([]),
})

/** RFC 8693 §4.1, outermost first. */
function actorsOf(act: Json): string[] {
  if (!isJsonObject(act)) return []
  const { sub, act: before = null } = act
  return [...(typeof sub === 'string' ? [sub] : []), ...actorsOf(before)]
}

function parsePart(part: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
    return isJsonObject(value) ? value : null
  } catch {
    return null
  }
}
