/** How a server verifies who calls through the gateway, with `jose` and nothing of ours: what docs/upstream-identity.md shows. */
import { createRemoteJWKSet, jwtVerify } from 'jose'
import type { JsonObject } from '#kernel'

export type IdentityCheck = (token: unknown) => Promise<Checked>
export type Checked = { readonly claims: JsonObject } | { readonly reason: string }

/** Trusts the tokens of one gateway that were made for one audience. */
export function createIdentityCheck({ issuer, audience }: { issuer: string; audience: string }): IdentityCheck {
  const keys = createRemoteJWKSet(new URL(`${issuer}/oauth/jwks`))
  return async (token) => {
    if (typeof token !== 'string') return { reason: 'no identity' }
    try {
      const options = { issuer, audience, algorithms: ['ES256'], typ: 'gatehouse-identity+jwt' }
      const { payload } = await jwtVerify(token, keys, options)
      return { claims: JSON.parse(JSON.stringify(payload)) }
    } catch (error) {
      return { reason: error instanceof Error ? error.message : String(error) }
    }
  }
}
