import { errors, jwtVerify, SignJWT, type JWTPayload } from 'jose'

/** Why a request is turned away, in the words of the Python worker; undefined when it may pass. */
export async function checkToken(authorization: string | undefined, secret: string): Promise<string | undefined> {
  const [scheme, ...rest] = (authorization ?? '').split(' ')
  const token = rest.join(' ')
  if (scheme?.toLowerCase() !== 'bearer' || token === '') return 'Not authenticated'
  const problem = await problemOf(token, secret)
  return problem === undefined ? undefined : `Invalid token. Error: ${problem}`
}

/** The token that an engine signs for a worker. `claims` are added or, when undefined, left out. */
export function signWorkerToken(secret: string, claims: JWTPayload = {}, alg = 'HS256'): Promise<string> {
  const nowSeconds = Math.floor(Date.now() / 1000)
  const all = { aud: 'worker', ver: '1', iat: nowSeconds, exp: nowSeconds + 60, ...claims }
  const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
  return new SignJWT(given).setProtectedHeader({ alg, typ: 'JWT' }).sign(new TextEncoder().encode(secret))
}

async function problemOf(token: string, secret: string): Promise<string | undefined> {
  if (token.split('.').length !== 3) return 'Not enough segments'
  try {
    const { payload } = await jwtVerify(token, new TextEncoder().encode(secret), { algorithms: ['HS256'] })
    return problemOfClaims(payload)
  } catch (error) {
    return inTheirWords(error)
  }
}

function problemOfClaims({ iat, aud, ver }: JWTPayload): string | undefined {
  if (iat !== undefined && iat > Date.now() / 1000) return 'The token is not yet valid (iat)'
  if (aud === undefined) return 'Token is missing the "aud" claim'
  if (aud !== 'worker' && !(Array.isArray(aud) && aud.includes('worker'))) return "Audience doesn't match"
  // The version is compared as a string: the number 1 is refused.
  return ver === '1'
    ? undefined
    : `Unsupported token version: ${ver === undefined ? 'None' : JSON.stringify(ver).replaceAll('"', '')}`
}

function inTheirWords(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'Signature has expired'
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'Signature verification failed'
  if (error instanceof errors.JOSEAlgNotAllowed) return 'The specified alg value is not allowed'
  if (error instanceof errors.JWTClaimValidationFailed) return `The token is not yet valid (${error.claim})`
  return 'Invalid token'
}
