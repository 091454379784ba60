/**
 * Access tokens that nobody may get in with: made without a key, with a key of somebody else's choice, with our own key
 * but for something else, or written in a way that RFC 7515 does not allow (RFC 8725 tells of most of them).
 */
import { createHmac, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { isJsonObject, type JsonObject } from '#kernel'

/** What a forger may have at hand: everything that is public, tokens of all kinds, and for the worst our own keys. */
export type Loot = {
  /** A token that is good, at the gateway `demo`. */
  readonly access: string
  readonly keys: Readonly<Record<'ES256' | 'RS256', { readonly kid: string; readonly privateKey: KeyObject }>>
  readonly issuer: string
  readonly idToken: string
  readonly refreshToken: string
  readonly code: string
}

/** Each forgery by what is wrong with it. */
export const FORGERIES: Readonly<Record<string, (loot: Loot) => string>> = {
  'alg none': (loot) => unsigned(loot, 'none'),
  'alg NONE': (loot) => unsigned(loot, 'NONE'),
  'alg none, and the old signature': (loot) => unsigned(loot, 'none') + partsOf(loot)[2],
  'no alg': (loot) => resigned(loot, { alg: undefined }),
  'a MAC by our public key as PEM': (loot) => mac(loot, publicPem(loot)),
  'a MAC by our public key as DER': (loot) => mac(loot, publicKey(loot).export({ type: 'spki', format: 'der' })),
  'a MAC by our public key as JWK': (loot) => mac(loot, JSON.stringify(publicKey(loot).export({ format: 'jwk' }))),
  'a MAC by nothing': (loot) => mac(loot, ''),
  'a key of its own inside': (loot) => ownKey(loot, { jwk: OWN.publicKey.export({ format: 'jwk' }) }),
  'a certificate of its own inside': (loot) => ownKey(loot, { x5c: [OWN_DER] }),
  'a key by address': (loot) => ownKey(loot, { jku: `${loot.issuer}/oauth/jwks` }),
  'a certificate by address': (loot) => ownKey(loot, { x5u: 'https://evil.example/key.pem' }),
  'a key by path': (loot) => ownKey(loot, { kid: '../../../../dev/null' }),
  'a key by SQL': (loot) => ownKey(loot, { kid: `x' OR '1'='1` }),
  'a key by a name that every object has': (loot) => ownKey(loot, { kid: '__proto__' }),
  'a list of keys': (loot) => resigned(loot, { kid: [loot.keys.ES256.kid] }),
  'no key named': (loot) => resigned(loot, { kid: undefined }),
  'our key for ID tokens': (loot) => resigned(loot, { alg: 'RS256', kid: loot.keys.RS256.kid }, {}, 'RS256'),
  'our key for ID tokens, called the other': (loot) => resigned(loot, {}, {}, 'RS256'),
  'an extension that must be known': (loot) => resigned(loot, { crit: ['exp'] }),
  'a body that is not encoded': (loot) => notEncoded(loot),
  'the type of ID tokens': (loot) => resigned(loot, { typ: 'JWT' }),
  'the type of ID-JAGs': (loot) => resigned(loot, { typ: 'oauth-id-jag+jwt' }),
  'the type of identity tokens': (loot) => resigned(loot, { typ: 'gatehouse-identity+jwt' }),
  'the type of logout tokens': (loot) => resigned(loot, { typ: 'logout+jwt' }),
  'no type': (loot) => resigned(loot, { typ: undefined }),
  'the audience of another house': (loot) => resigned(loot, {}, { aud: 'https://other.example/mcp/demo' }),
  'many audiences': (loot) => resigned(loot, {}, { aud: [`${loot.issuer}/mcp/demo`, `${loot.issuer}/mcp/other`] }),
  'no audience': (loot) => resigned(loot, {}, { aud: undefined }),
  'another issuer': (loot) => resigned(loot, {}, { iss: 'https://other.example' }),
  'nearly our name as its issuer': (loot) => resigned(loot, {}, { iss: `${loot.issuer}/` }),
  'no issuer': (loot) => resigned(loot, {}, { iss: undefined }),
  'an end one second ago': (loot) => resigned(loot, {}, { exp: nowSeconds() - 1 }),
  'an end in words': (loot) => resigned(loot, {}, { exp: '9999999999' }),
  'no end': (loot) => resigned(loot, {}, { exp: undefined }),
  'a beginning in a minute': (loot) => resigned(loot, {}, { nbf: nowSeconds() + 60 }),
  nobody: (loot) => resigned(loot, {}, { sub: undefined }),
  'an account that there is not': (loot) => resigned(loot, {}, { sub: 'acc_00000000000000000000000000' }),
  'no grant': (loot) => resigned(loot, {}, { gid: undefined }),
  'a longer life under the old signature': (loot) => swappedBody(loot, { exp: 9_999_999_999 }),
  'another person under the old signature': (loot) => swappedBody(loot, { sub: 'acc_root' }),
  'half a signature': (loot) => withSignature(loot, (text) => text.slice(0, text.length / 2)),
  'a character less': (loot) => withSignature(loot, (text) => text.slice(0, -1)),
  'no signature': (loot) => withSignature(loot, () => ''),
  'a signature of zeros': (loot) => withSignature(loot, () => Buffer.alloc(64).toString('base64url')),
  'a signature of the order of the curve': (loot) => withSignature(loot, () => ORDER_TWICE),
  'a signature in DER': (loot) => signedInDer(loot),
  'a signature with padding': (loot) => withSignature(loot, (text) => `${text}==`),
  'a signature with a character that is none': (loot) =>
    withSignature(loot, (text) => `${text.slice(0, 9)}!${text.slice(9)}`),
  'a signature with a space': (loot) => withSignature(loot, (text) => `${text.slice(0, 9)} ${text.slice(9)}`),
  'a signature with bits to spare': (loot) => withSignature(loot, sparedBits),
  'four parts': (loot) => `${loot.access}.x`,
  'five parts, as if encrypted': (loot) => `${loot.access}.x.y`,
  'two tokens': (loot) => `${loot.access},${loot.access}`,
  'a token as long as a book': (loot) => `${loot.access}${'A'.repeat(9_000)}`,
  'an ID token': (loot) => loot.idToken,
  'a refresh token': (loot) => loot.refreshToken,
  'a code': (loot) => loot.code,
}

/** Signed by our own key, for somebody else. */
export function forgedFor(loot: Loot, audience: string): string {
  return resigned(loot, {}, { aud: audience })
}

const OWN = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const OWN_DER = OWN.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')
/** n of P-256, for r and s: what "psychic" verifiers took (CVE-2022-21449). */
const ORDER = 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551'
const ORDER_TWICE = Buffer.from(ORDER + ORDER, 'hex').toString('base64url')

/** The good token with another header and other claims, signed by our own key. */
function resigned(loot: Loot, header: Change, claims: Change = {}, by: 'ES256' | 'RS256' = 'ES256'): string {
  const [head, body] = partsOf(loot)
  const text = `${changed(head, header)}.${changed(body, claims)}`
  return `${text}.${signatureOf(text, loot.keys[by].privateKey)}`
}

/** Signed by a key of the forger, which the header points to. */
function ownKey(loot: Loot, header: Change): string {
  const [head, body] = partsOf(loot)
  const text = `${changed(head, header)}.${body}`
  return `${text}.${signatureOf(text, OWN.privateKey)}`
}

function unsigned(loot: Loot, alg: string): string {
  const [head, body] = partsOf(loot)
  return `${changed(head, { alg })}.${body}.`
}

function mac(loot: Loot, key: string | Buffer): string {
  const [head, body] = partsOf(loot)
  const text = `${changed(head, { alg: 'HS256' })}.${body}`
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
}

/** RFC 7797: the signature is over the claims as they are, and the token carries them encoded. */
function notEncoded(loot: Loot): string {
  const [head, body] = partsOf(loot)
  const header = changed(head, { b64: false, crit: ['b64'] })
  const text = `${header}.${Buffer.from(body, 'base64url').toString()}`
  return `${header}.${body}.${signatureOf(text, loot.keys.ES256.privateKey)}`
}

function swappedBody(loot: Loot, claims: Change): string {
  const [head, body, signature] = partsOf(loot)
  return `${head}.${changed(body, claims)}.${signature}`
}

function withSignature(loot: Loot, change: (signature: string) => string): string {
  const [head, body, signature] = partsOf(loot)
  return `${head}.${body}.${change(signature)}`
}

function signedInDer(loot: Loot): string {
  const [head, body] = partsOf(loot)
  const { privateKey: key } = loot.keys.ES256
  return `${head}.${body}.${sign('sha256', Buffer.from(`${head}.${body}`), { key, dsaEncoding: 'der' }).toString('base64url')}`
}

/** 64 bytes take 86 characters, of whose last four bits count for nothing: sixteen spellings of one signature. */
function sparedBits(signature: string): string {
  const next: Readonly<Record<string, string>> = { A: 'B', Q: 'R', g: 'h', w: 'x' }
  return signature.slice(0, -1) + (next[signature.slice(-1)] ?? '')
}

type Change = Readonly<Record<string, unknown>>

/** Members that are `undefined` are left out. */
function changed(part: string, change: Change): string {
  return Buffer.from(JSON.stringify({ ...decode(part), ...change })).toString('base64url')
}

function decode(part: string): JsonObject {
  const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
  return isJsonObject(value) ? value : {}
}

function signatureOf(text: string, key: KeyObject): string {
  return sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')
}

function partsOf({ access }: Loot): [head: string, body: string, signature: string] {
  const [head = '', body = '', signature = ''] = access.split('.')
  return [head, body, signature]
}

function publicKey({ keys }: Loot): KeyObject {
  return createPublicKey(keys.ES256.privateKey)
}

function publicPem(loot: Loot): string {
  return publicKey(loot).export({ type: 'spki', format: 'pem' }).toString()
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1_000)
}
