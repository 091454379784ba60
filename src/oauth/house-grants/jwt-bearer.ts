import type { Provider, TokenEndpointGrantContext } from 'oidc-provider'
import type { Directory, Member } from '#identity'
import { newId, isProblem, type Clock, type JsonObject } from '#kernel'
import { resourceServerOf } from '../provider/resource-server.ts'
import { SCOPE, type Resources } from '../resources.ts'
import type { Sealed } from '../sealed.ts'
import type { OauthStore } from '../store.ts'
import type { VerifierDeps } from '../verifier.ts'
import { giveToken, refuse, requireLetIn, scopeOf, wordsOf } from './house-grant.ts'

export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

/** Whose word is taken for who somebody is: the identity sources of the house. */
export type Assertions = {
  /** Throws a Problem for all that does not count. */
  hear(assertion: string, audience: string): Promise<Heard>
}
export type Heard = {
  readonly claims: JsonObject
  /** The id of the account here. Throws a Problem where there is none. */
  admit(): Promise<string>
}

export type JwtBearerDeps = {
  readonly assertions: Assertions
  readonly issuer: string
  readonly directory: () => Directory
  readonly resources: Resources
  readonly whyNot: VerifierDeps['whyNot']
  readonly store: Pick<OauthStore, 'replay'>
  readonly sealed: Pick<Sealed, 'refOf'>
  readonly clock: Clock
}

type Context = TokenEndpointGrantContext<Partial<Record<string, string | string[]>>>

/**
 * Enterprise-managed authorization: a client comes with the word of a company's identity provider in place of a person
 * with a browser (RFC 7523; draft-ietf-oauth-identity-assertion-authz-grant §5). It counts once, for the client and
 * the gateway that it names, if the person may enter there. No refresh token: the provider is asked again, and says no
 * to whoever was let go.
 */
export function addJwtBearer(provider: Provider, deps: JwtBearerDeps): void {
  const handle = async (ctx: Context): Promise<void> => {
    const { client, params } = ctx.oidc
    const { clientId } = client
    const { claims, ...person } = await heard(deps, textOf(params['assertion']))
    ctx.state['told'] = { assertion_issuer: textOf(claims['iss']), subject: textOf(claims['sub']) }
    if (claims['client_id'] !== clientId) throw refuse('InvalidGrant', 'the assertion was made for another client')
    const indicator = targetOf(claims, params['resource'])
    const server = new provider.ResourceServer(indicator, resourceServerOf(deps.resources, indicator))
    // Without a word of it, the provider allows the least.
    const held = wordsOf(claims['scope'] ?? SCOPE)
    const scope = scopeOf({ held, offered: server.scopes, asked: params['scope'] })
    await useUp(deps, claims)
    const member = await admitted(deps, person)
    const gateway = deps.resources.find(indicator)?.slug ?? null
    requireLetIn(
      deps.whyNot,
      { member, claims: { clientId, factor: FACTOR }, gateway, address: ctx.ip },
      'InvalidGrant',
    )
    // Nothing hangs together that would have to end together: each token is a grant of its own.
    const wish = { member, grantId: newId('jag'), gty: 'jwt_bearer', scope, server, more: { amr: [FACTOR] } }
    ctx.body = await giveToken(ctx, provider, wish)
  }
  provider.registerGrantType(JWT_BEARER, handle, ['assertion', 'resource', 'scope'])
}

const FACTOR = 'upstream'
const NOT_GOOD = 'the assertion does not count here'

async function heard({ assertions, issuer }: JwtBearerDeps, assertion: string): Promise<Heard> {
  if (assertion === '') throw refuse('InvalidRequest', 'send the identity assertion in `assertion`')
  return assertions.hear(assertion, issuer).catch(asRefusal)
}

async function admitted({ directory }: JwtBearerDeps, person: Pick<Heard, 'admit'>): Promise<Member> {
  const accountId = await person.admit().catch(asRefusal)
  const member = directory().findByAccountId(accountId) // it may have been made just now
  if (member?.isActive === true && member.kind === 'person') return member
  throw refuse('InvalidGrant', 'the account was switched off or removed')
}

/** Why is for the trail: a client that tries assertions learns nothing about whom there is. */
function asRefusal(cause: unknown): never {
  if (!isProblem(cause)) throw cause
  throw refuse('InvalidGrant', NOT_GOOD, cause.message)
}

/** The gateway that the provider named; the client may name it too (RFC 8707), and no other. */
function targetOf({ resource }: JsonObject, asked: string | string[] | undefined): string {
  const named = typeof resource === 'string' ? resource.replace(/\/$/, '') : null
  if (named === null) throw refuse('InvalidTarget', 'the assertion names no gateway in `resource`')
  if (asked !== undefined && textOf(asked).replace(/\/$/, '') !== named)
    throw refuse('InvalidTarget', 'the assertion was made for another resource')
  return named
}

/** On whatever replica it comes first, it comes last (RFC 7523 §3, `jti`). */
async function useUp({ store, sealed, clock }: JwtBearerDeps, { iss, jti }: JsonObject): Promise<void> {
  const ref = sealed.refOf(`id-jag ${JSON.stringify([iss, jti])}`)
  if (!(await store.replay.begin(ref, clock.now()))) throw refuse('InvalidGrant', 'the assertion was used before')
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
