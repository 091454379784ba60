import { createHmac } from 'node:crypto'
import type { Secret } from '#kernel'

/** Where the signature of a request stands. */
export const SIGNATURE_HEADER = 'gatehouse-signature'

/**
 * `t=SECONDS,v1=HEX`: HMAC-SHA256 over the time, a dot and the body as sent. Whoever checks it compares in constant time
 * and refuses times more than five minutes off, so that what was overheard once cannot be sent again later.
 */
export function signBody(secret: Secret, body: string, now: number): string {
  const seconds = Math.floor(now / 1_000)
  const mac = createHmac('sha256', secret.reveal()).update(`${seconds}.${body}`).digest('hex')
  return `t=${seconds},v1=${mac}`
}
