import type { JsonObject } from '#kernel'
import type { Verifier } from '../verifier.ts'

/** Who asks about a token, after the library has found out. */
export type Asker = { readonly clientId: string; readonly isPublic: boolean }

/**
 * RFC 7662 for our access tokens: active means that the gateway it was made for would take it now. Everything else, and
 * somebody else's token when a client without a secret asks, is "not active" and not a word more (§2.2).
 */
export function introspect(token: string, by: Asker, deps: { verifier: Verifier; issuer: () => string }): JsonObject {
  const claims = deps.verifier.read(token)
  if (claims === null || (by.isPublic && by.clientId !== claims.clientId)) return { active: false }
  const gateway = claims.audience.slice(`${deps.issuer()}/mcp/`.length)
  const answer = deps.verifier.authenticate({ authorization: `Bearer ${token}`, gateway })
  if (!answer.ok) return { active: false }
  return {
    active: true,
    iss: deps.issuer(),
    sub: claims.accountId,
    username: answer.userId,
    aud: claims.audience,
    client_id: claims.clientId,
    scope: claims.scopes.join(' '),
    exp: Math.floor(claims.expiresAt / 1_000),
    token_type: 'Bearer',
  }
}
