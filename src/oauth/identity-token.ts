import { hash, randomUUID, sign } from 'node:crypto'
import type { Clock, JsonObject } from '#kernel'
import type { KeyRing } from './signing-keys/ring.ts'

/** RFC 8725 §3.11: a type of its own, so that no access token passes for one and it passes for no access token. */
const TYPE = 'gatehouse-identity+jwt'
const LIFETIME_SECONDS = 60
/** The same words about the same caller are signed again after so long; whoever gets them has 40 seconds for them. */
const KEPT_MS = 20_000
const MAX_KEPT = 5_000

type Kept = { readonly token: string; readonly until: number }

/**
 * Signs who calls, for servers behind the gateway. A token is kept under all that it says, so that a warm call signs
 * nothing and nobody is ever given what was said of somebody else; the tool is part of it, at the price of one
 * signature for each tool that a caller uses within the time. A change of the keys makes all of them anew.
 */
export function createIdentitySigner(deps: { keyRing: Pick<KeyRing, 'signer'>; clock: Clock; issuer: () => string }) {
  let kept = new Map<string, Kept>()
  let older = new Map<string, Kept>()
  return (claims: JsonObject): string => {
    const now = deps.clock.now()
    const key = deps.keyRing.signer('ES256')
    const said = JSON.stringify({ iss: deps.issuer(), ...claims })
    const id = `${key.kid}.${hash('sha256', said, 'base64url')}`
    const known = kept.get(id) ?? older.get(id)
    if (known !== undefined && known.until > now) return known.token
    const token = signClaims(key, said, now)
    if (kept.size >= MAX_KEPT) [older, kept] = [kept, new Map()]
    kept.set(id, { token, until: now + KEPT_MS })
    return token
  }
}

function signClaims({ kid, privateKey }: ReturnType<KeyRing['signer']>, said: string, now: number): string {
  const iat = Math.floor(now / 1_000)
  const times = { jti: randomUUID(), iat, exp: iat + LIFETIME_SECONDS }
  const head = encode(JSON.stringify({ alg: 'ES256', typ: TYPE, kid }))
  const body = encode(JSON.stringify({ ...JSON.parse(said), ...times }))
  const signature = sign('sha256', Buffer.from(`${head}.${body}`), { key: privateKey, dsaEncoding: 'ieee-p1363' })
  return `${head}.${body}.${signature.toString('base64url')}`
}

function encode(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64url')
}
