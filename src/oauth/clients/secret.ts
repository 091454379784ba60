import type Provider from 'oidc-provider'
import type { ClientMetadata } from 'oidc-provider'
import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { Secret } from '#kernel'

/** No secret that the library makes or takes begins like this. */
const HASHED = 'sha256:'
const SECRET_SECONDS = 365 * 86_400

/** A new secret of 256 random bits, with a prefix by which scanners and people recognise it. */
export function mintSecret(): Secret {
  return new Secret(`ghc_${randomBytes(32).toString('base64url')}`)
}

/** Only this is stored. The secret's 256 bits need no slow hash. */
export function hashSecret(secret: string): string {
  return `${HASHED}${hash('sha256', secret, 'base64url')}`
}

/** RFC 7591 §3.2.1: a secret that a client got by registering itself ends a year later, and the client is told when. */
export function limitSecret(metadata: ClientMetadata, now: number): void {
  const isLimited = metadata.client_secret === undefined || Boolean(metadata.client_secret_expires_at)
  if (!isLimited) metadata.client_secret_expires_at = Math.floor(now / 1_000) + SECRET_SECONDS
}

/** Teaches the library to compare with what is kept. */
export function compareHashedSecrets(provider: Provider): void {
  Object.defineProperty(provider.Client.prototype, 'compareClientSecret', {
    value(this: { readonly clientSecret?: string }, given: string) {
      return isSecretOf(this.clientSecret, given)
    },
  })
}

/** Whether this is the secret of a client, in a time that tells nothing of how much of it was right. */
function isSecretOf(kept: string | undefined, given: string): boolean {
  if (kept === undefined) return false
  const [wanted, got] = kept.startsWith(HASHED) ? [kept, hashSecret(given)] : [hashSecret(kept), hashSecret(given)]
  return timingSafeEqual(Buffer.from(wanted), Buffer.from(got))
}
