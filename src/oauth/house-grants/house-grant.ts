import type { Provider, TokenEndpointGrantContext } from 'oidc-provider'
import type { Member } from '#identity'
import { isJsonObject, type JsonObject } from '#kernel'
import { errors } from '../provider/library.ts'
import { SCOPE } from '../resources.ts'
import type { VerifierDeps } from '../verifier.ts'

/**
 * What the grants of the house share, those that the library does not have or has otherwise: how they refuse, how they
 * ask the login policy, what a token of theirs may do, and how they give one.
 */
type Refusal = 'InvalidRequest' | 'InvalidGrant' | 'InvalidTarget' | 'UnauthorizedClient' | 'InvalidScope'

/** Said to the client, which has proved who it is, and to the audit trail. `detail` is for the trail alone. */
export function refuse(kind: Refusal, text: string, detail = text): Error {
  const refusal = kind === 'InvalidScope' ? new errors.InvalidScope(text, '') : new errors[kind](text)
  return Object.assign(refusal, { error_description: text, error_detail: detail })
}

/** The login policy, asked at every token. Throws what the client is told. */
export function requireLetIn(
  whyNot: VerifierDeps['whyNot'],
  asked: Parameters<VerifierDeps['whyNot']>[0],
  kind: 'InvalidGrant' | 'InvalidTarget',
): void {
  const why = whyNot(asked)
  if (why !== null) throw refuse(kind, `the login policy does not let this account in there: ${why}`)
}

/**
 * What a token may do at a gateway: what was asked for, or all that there is, and with it the scope that opens the
 * gateway, since nothing is done there without. Whoever asks for more than is there hears so: nothing is left out in
 * silence.
 */
export function scopeOf(of: { held: Iterable<string>; offered: ReadonlySet<string>; asked: unknown }): string {
  const may = [...of.held].filter((scope) => of.offered.has(scope))
  if (!may.includes(SCOPE))
    throw refuse('InvalidScope', `nothing there opens this gateway; it takes the scope ${SCOPE}`)
  const asked = wordsOf(of.asked)
  const beyond = asked.filter((scope) => !may.includes(scope))
  if (beyond.length > 0)
    throw refuse('InvalidScope', `${beyond.join(', ')} cannot be had for this gateway, only ${may.join(', ')}`)
  return [...new Set([SCOPE, ...(asked.length > 0 ? asked : may)])].join(' ')
}

/** The scopes in a text of them; none in whatever is no text. */
export function wordsOf(scope: unknown): string[] {
  return typeof scope === 'string' ? scope.split(' ').filter(Boolean) : []
}

export type TokenWish = {
  readonly member: Member
  /** What it ends with. */
  readonly grantId: string
  readonly gty: string
  readonly scope: string
  readonly server: InstanceType<Provider['ResourceServer']>
  /** In seconds; as long as any access token unless it is said. */
  readonly expiresIn?: number
  /** What it says besides what the library puts into it. */
  readonly more: JsonObject
}

/** Gives the client an access token for the account. Resolves with the answer (RFC 6749 §5.1), without a refresh token. */
export async function giveToken(
  { oidc }: Pick<TokenEndpointGrantContext, 'oidc'>,
  provider: Provider,
  wish: TokenWish,
): Promise<{ access_token: string; token_type: string; expires_in: number; scope: string }> {
  const { member, grantId, gty, scope, server: resourceServer, expiresIn, more } = wish
  const { accountId } = member
  const life = expiresIn === undefined ? {} : { expiresIn }
  const { client } = oidc
  const token = new provider.AccessToken({ accountId, client, grantId, gty, scope, resourceServer, ...life })
  Object.defineProperty(token, MORE_CLAIMS, { value: more })
  oidc.entity('Account', { accountId, claims: () => ({ sub: accountId }) })
  oidc.entity('AccessToken', token)
  const value = await token.save()
  return { access_token: value, token_type: token.tokenType, expires_in: token.expiration, scope }
}

/** Under it, a token keeps what it says besides, until it is saved. */
const MORE_CLAIMS = Symbol('more claims')

export function moreOf(token: object): JsonObject {
  const more: unknown = Reflect.get(token, MORE_CLAIMS)
  return isJsonObject(more) ? more : {}
}
