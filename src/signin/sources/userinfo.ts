import * as oidc from 'openid-client'
import { isJsonObject, type JsonObject } from '#kernel'
import type { IdentitySource } from './config.ts'

export type Tokens = Awaited<ReturnType<typeof oidc.authorizationCodeGrant>>

/**
 * What the ID token says, and what the provider says at its UserInfo endpoint alone. A provider may keep most back from
 * an ID token that comes with an access token (OpenID Connect Core §5.4), as Okta does with `email_verified`; so it is
 * asked wherever the settings name a claim that is not there. What the ID token says counts. Entra has no more to tell.
 */
export async function completeClaims(
  source: IdentitySource,
  configuration: oidc.Configuration,
  tokens: Tokens,
): Promise<JsonObject> {
  const inToken: unknown = tokens.claims()
  if (!isJsonObject(inToken)) throw new Error('the ID token has no claims')
  const hasEndpoint = configuration.serverMetadata().userinfo_endpoint !== undefined
  const isWhole = claimsOf(source).every((name) => inToken[name] !== undefined)
  if (isWhole || !hasEndpoint || source.kind === 'entra') return inToken
  const subject = typeof inToken['sub'] === 'string' ? inToken['sub'] : ''
  // Refuses an answer about anybody else (§5.3.2).
  const told: unknown = await oidc.fetchUserInfo(configuration, tokens.access_token, subject)
  return isJsonObject(told) ? { ...aboutThisAddress(told, inToken), ...inToken } : inToken
}

/** That an address is verified is said of the one beside it. */
function aboutThisAddress(told: JsonObject, { email }: JsonObject): JsonObject {
  if (email === undefined || told['email'] === email) return told
  const { email_verified: _, ...rest } = told
  return rest
}

function claimsOf({ subject_claim, user_id_claim, name_claim, groups_claim, keep_claims }: IdentitySource): string[] {
  const named = [subject_claim, user_id_claim, name_claim, groups_claim, ...keep_claims]
  return ['email_verified', ...named.filter((name) => name !== undefined)]
}
