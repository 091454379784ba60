import type Provider from 'oidc-provider'
import type { ClientMetadata } from 'oidc-provider'
import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { Secret, type Clock } from '#kernel'
import { errors } from '../provider/library.ts'

/** No secret that the library makes or takes begins like this. */
const HASHED = 'sha256:'
const SECRET_SECONDS = 365 * 86_400
/** So many secrets from before the last rotation may still count. */
const MAX_EARLIER = 4

/** A new secret of 256 random bits, with a prefix by which scanners and people recognise it. */
export function mintSecret(): Secret {
  return new Secret(`ghc_${randomBytes(32).toString('base64url')}`)
}

/** Only this is stored. The secret's 256 bits need no slow hash. */
export function hashSecret(secret: string): string {
  return `${HASHED}${hash('sha256', secret, 'base64url')}`
}

/** What is stored once a client has a new secret: `sha256:NEW sha256:OLD@MILLISECONDS …`, each old one with its end. */
export function rotateSecret(kept: string, secret: Secret, { now, until }: { now: number; until: number }): string {
  const { current, earlier } = readKept(kept)
  const ended = [
    { hashed: current, end: until },
    ...earlier.map(({ hashed, end }) => ({ hashed, end: Math.min(end, until) })),
  ]
  const counting = ended.filter(({ end }) => end > now).slice(0, MAX_EARLIER)
  return [hashSecret(secret.reveal()), ...counting.map(({ hashed, end }) => `${hashed}@${end}`)].join(' ')
}

/** When the last secret from before a rotation ends, or ended; null when there is none. */
export function earlierSecretsEnd(kept: string | undefined): number | null {
  const ends = readKept(kept ?? '').earlier.map(({ end }) => end)
  return ends.length === 0 ? null : Math.max(...ends)
}

/** RFC 7591 §3.2.1: a secret that a client got by registering itself ends a year later, and the client is told when. */
export function limitSecret(metadata: ClientMetadata, now: number): void {
  const isLimited = metadata.client_secret === undefined || Boolean(metadata.client_secret_expires_at)
  if (!isLimited) metadata.client_secret_expires_at = Math.floor(now / 1_000) + SECRET_SECONDS
}

/** Teaches the library to compare with what is kept, and to answer 401 to a secret that has expired (RFC 6749 §5.2). */
export function teachSecrets(provider: Provider, clock: Clock): void {
  Object.defineProperties(provider.Client.prototype, {
    compareClientSecret: {
      value(this: { readonly clientSecret?: string }, given: string) {
        return isSecretOf(this.clientSecret, given, clock.now())
      },
    },
    checkClientSecretExpiration: {
      value(this: { readonly clientSecretExpiresAt?: number }, message: string) {
        const { clientSecretExpiresAt: end } = this
        if (end === undefined || end === 0 || clock.now() < end * 1_000) return
        throw Object.assign(new errors.InvalidClientAuth(), { error_description: message })
      },
    },
  })
}

/** Whether this is a secret of a client, in a time that tells nothing of how much of it was right. */
function isSecretOf(kept: string | undefined, given: string, now: number): boolean {
  if (kept === undefined) return false
  const { current, earlier } = readKept(kept)
  const wanted = [current, ...earlier.filter(({ end }) => end > now).map(({ hashed }) => hashed)]
  const got = Buffer.from(hashSecret(given))
  return wanted.map((hashed) => timingSafeEqual(Buffer.from(hashed), got)).includes(true)
}

/** What the library made itself is kept as it is, and read as if it were a hash. */
function readKept(kept: string): { current: string; earlier: { hashed: string; end: number }[] } {
  if (!kept.startsWith(HASHED)) return { current: hashSecret(kept), earlier: [] }
  const [current = '', ...earlier] = kept.split(' ')
  const read = (text: string): { hashed: string; end: number } => {
    const [hashed = '', end = ''] = text.split('@')
    return { hashed, end: Number(end) }
  }
  return { current, earlier: earlier.map(read) }
}
