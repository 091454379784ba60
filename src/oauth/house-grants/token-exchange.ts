import type { Provider, TokenEndpointGrantContext } from 'oidc-provider'
import type { JsonObject } from '#kernel'
import type { Member } from '#identity'
import { ACCESS_TOKEN_SECONDS, resourceServerOf } from '../provider/resource-server.ts'
import type { Resources } from '../resources.ts'
import type { TokenClaims, Verifier } from '../verifier.ts'
import { ID_JAG, ID_JAG_SECONDS, ID_TOKEN, issueIdJag, type IdJagDeps } from './id-jag.ts'
import { giveToken, refuse, requireLetIn, scopeOf } from './house-grant.ts'
import type { ExchangeRights, ExchangeWay } from './schema.ts'

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
/** RFC 8693 §3: an access token of ours is both. */
const TYPES_OF_OURS = [ACCESS_TOKEN, 'urn:ietf:params:oauth:token-type:jwt']
/** So many clients may stand behind each other. With the next one, nobody would know any more who it was that asked. */
const MAX_ACTORS = 4
const PARAMETERS = [
  'subject_token',
  'subject_token_type',
  'actor_token',
  'actor_token_type',
  'requested_token_type',
  'resource',
  'audience',
  'scope',
]

export type TokenExchangeDeps = IdJagDeps & {
  /** What a client may exchange; nothing unless an admin said so. */
  readonly rightsOf: (clientId: string) => Promise<ExchangeRights>
  readonly verifier: Verifier
  readonly resources: Resources
}

type Context = TokenEndpointGrantContext<Partial<Record<string, string | string[]>>>
/** Somebody's token, found good, and the gateway that it opens. */
type Subject = { readonly claims: TokenClaims; readonly member: Member; readonly gateway: string }

/**
 * RFC 8693: what a client got for a person is exchanged for what it needs next in that person's name: an access token
 * for another gateway, or our word for another authorization server (`id-jag.ts`).
 */
export function addTokenExchange(provider: Provider, deps: TokenExchangeDeps): void {
  const handle = async (ctx: Context): Promise<void> => {
    const { params } = ctx.oidc
    if (params['actor_token'] !== undefined || params['actor_token_type'] !== undefined)
      throw refuse('InvalidRequest', 'the client itself is the actor; leave actor_token out')
    const wanted = textOf(params['requested_token_type'] ?? ACCESS_TOKEN)
    if (wanted === ID_JAG) return vouch(ctx, deps)
    if (TYPES_OF_OURS.includes(wanted)) return exchange(ctx, provider, deps)
    throw refuse('InvalidRequest', `requested_token_type must be ${ACCESS_TOKEN} or ${ID_JAG}`)
  }
  provider.registerGrantType(TOKEN_EXCHANGE, handle, PARAMETERS, ['resource', 'audience'])
}

/**
 * The new token names both (`act`, §4.1), opens no more than the old one, does not outlive it, and ends with it: it
 * belongs to the same grant. There is no refresh token; whoever still has the subject's comes again.
 */
async function exchange(ctx: Context, provider: Provider, deps: TokenExchangeDeps): Promise<void> {
  const { client } = ctx.oidc
  const { clientId } = client
  const { claims, member, gateway: from } = readSubject(ctx, deps)
  const { accountId } = member
  const indicator = targetOf(ctx)
  const server = new provider.ResourceServer(indicator, resourceServerOf(deps.resources, indicator))
  const to = deps.resources.find(indicator)?.slug ?? ''
  const actors = [clientId, ...claims.actors]
  ctx.state['told'] = { from, to, subject_client: claims.clientId, actors }
  ctx.oidc.entity('Account', { accountId, claims: () => ({ sub: accountId }) })
  await requireWay(deps, { clientId, from, to })
  if (actors.length > MAX_ACTORS) throw refuse('InvalidRequest', `more than ${MAX_ACTORS} clients would act in a row`)
  const scope = scopeOf({ held: claims.scopes, offered: server.scopes, asked: ctx.oidc.params['scope'] })
  const { grantId, factor, firstClientId: first_client_id, tokenId, madeFrom } = claims
  requireLetIn(deps.whyNot, { member, claims: { clientId, factor }, gateway: to, address: ctx.ip }, 'InvalidTarget')
  const secondsLeft = Math.floor((claims.expiresAt - deps.clock.now()) / 1_000)
  // The library takes a life of nothing for one that nobody has chosen.
  if (secondsLeft < 1) throw refuse('InvalidRequest', NOT_GOOD)
  const expiresIn = Math.min(ACCESS_TOKEN_SECONDS, secondsLeft)
  const lineage = { act: toAct(actors), first_client_id, made_from: [tokenId, ...madeFrom] }
  const more = factor === null ? lineage : { ...lineage, amr: [factor] }
  const given = await giveToken(ctx, provider, {
    member,
    grantId,
    gty: 'token_exchange',
    scope,
    server,
    expiresIn,
    more,
  })
  ctx.body = { ...given, issued_token_type: ACCESS_TOKEN }
}

/** Our word for a person at another authorization server: no access token, hence `N_A` (§2.2.1). */
async function vouch(ctx: Context, deps: TokenExchangeDeps): Promise<void> {
  const { params, client } = ctx.oidc
  if (params['subject_token_type'] !== ID_TOKEN)
    throw refuse('InvalidRequest', `subject_token_type must be ${ID_TOKEN}`)
  const { idJag: places } = await deps.rightsOf(client.clientId)
  const [audience, resource] = [textOf(params['audience']), textOf(params['resource'])]
  ctx.state['told'] = { audience, resource }
  if (audience === '' || resource === '')
    throw refuse('InvalidTarget', 'name the authorization server in `audience` and the server behind it in `resource`')
  const { token, member } = await issueIdJag(deps, {
    clientId: client.clientId,
    idToken: textOf(params['subject_token']),
    audience,
    resource,
    scope: textOf(params['scope']),
    address: ctx.ip,
    places,
  })
  const { accountId } = member
  ctx.oidc.entity('Account', { accountId, claims: () => ({ sub: accountId }) })
  ctx.body = { access_token: token, issued_token_type: ID_JAG, token_type: 'N_A', expires_in: ID_JAG_SECONDS }
}

function readSubject(ctx: Context, { verifier, resources, directory }: TokenExchangeDeps): Subject {
  const { params } = ctx.oidc
  if (!TYPES_OF_OURS.includes(textOf(params['subject_token_type'])))
    throw refuse('InvalidRequest', `subject_token_type must be ${ACCESS_TOKEN}`)
  const token = textOf(params['subject_token'])
  const claims = verifier.read(token)
  const gateway = claims === null ? null : resources.find(claims.audience)
  if (claims === null || gateway === null) throw refuse('InvalidRequest', NOT_GOOD)
  const { slug } = gateway
  const answer = verifier.authenticate({ authorization: `Bearer ${token}`, gateway: slug, remoteAddress: ctx.ip })
  const member = answer.ok ? directory().findByAccountId(claims.accountId) : null
  if (member === null) throw refuse('InvalidRequest', NOT_GOOD)
  return { claims, member, gateway: slug }
}

/** Not more exact: whoever tries tokens learns from it nothing about them. */
const NOT_GOOD = 'the subject token is no access token of this server that counts (any more)'

/** One gateway, by its address in either of the two parameters (§2.1). */
function targetOf({ oidc: { params } }: Context): string {
  const named = [params['resource'] ?? [], params['audience'] ?? []].flat()
  const [indicator, ...others] = [...new Set(named.map((each) => each.replace(/\/$/, '')))]
  if (indicator === undefined || others.length > 0)
    throw refuse('InvalidTarget', 'name one gateway by its address in `resource`')
  return indicator
}

async function requireWay({ rightsOf }: TokenExchangeDeps, wanted: ExchangeWay & { clientId: string }): Promise<void> {
  const { clientId, from, to } = wanted
  const { exchange: ways } = await rightsOf(clientId)
  if (ways.some((way) => way.from === from && way.to === to)) return
  throw refuse('InvalidTarget', `this client may not take tokens from ${from} to ${to}`)
}

/** RFC 8693 §4.1: who acts now, and inside it who acted before. */
function toAct(actors: readonly string[]): JsonObject {
  const [sub = '', ...before] = actors
  return before.length === 0 ? { sub } : { sub, act: toAct(before) }
}

function textOf(value: string | string[] | undefined): string {
  return typeof value === 'string' ? value : ''
}
