import { SignJWT } from 'jose'
import type { Clock, Secret } from '#kernel'

const LIFETIME_SECONDS = 300
const RENEW_BEFORE_SECONDS = 60
/** Workers refuse a token issued in their future, so it is dated back by what clocks may differ. */
const SKEW_SECONDS = 30

/** Signs the bearer token that proves we know the worker's secret; one token serves until shortly before it ends. */
export function createWorkerToken(deps: { secret: Secret; clock: Clock }): () => Promise<string> {
  let renewAt = 0
  let token: Promise<string> | undefined
  return () => {
    const nowSeconds = Math.floor(deps.clock.now() / 1000)
    if (token === undefined || nowSeconds >= renewAt) {
      renewAt = nowSeconds + LIFETIME_SECONDS - RENEW_BEFORE_SECONDS
      token = sign(deps.secret, nowSeconds)
    }
    return token
  }
}

function sign(secret: Secret, nowSeconds: number): Promise<string> {
  // The worker compares `ver` with the string: the number 1 is refused.
  return new SignJWT({ ver: '1' })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setAudience('worker')
    .setIssuedAt(nowSeconds - SKEW_SECONDS)
    .setExpirationTime(nowSeconds + LIFETIME_SECONDS)
    .sign(Buffer.from(secret.reveal()))
}
