import type { Provider, TokenEndpointGrantContext } from 'oidc-provider'
import type { Directory, Member } from '#identity'
import { giveToken, refuse, requireLetIn, scopeOf } from './house-grant.ts'
import { resourceServerOf } from '../provider/resource-server.ts'
import { SCOPE, type Resources } from '../resources.ts'
import type { VerifierDeps } from '../verifier.ts'

export const CLIENT_CREDENTIALS = 'client_credentials'
const FACTOR = 'token'

export type ClientCredentialsDeps = {
  /** The id of the system account that a client acts as; null of all those that act for people. */
  readonly accountOf: (clientId: string) => Promise<string | null>
  readonly directory: () => Directory
  readonly resources: Resources
  readonly whyNot: VerifierDeps['whyNot']
}

type Context = TokenEndpointGrantContext<{ resource?: string | string[]; scope?: string }>

/**
 * RFC 6749 §4.4: a client acts by itself, as the system account that an admin bound it to, at one gateway (RFC 8707).
 * The library's own would make tokens of a client that is nobody here. No refresh token (§4.4.3): it has its secret.
 */
export function addClientCredentials(provider: Provider, deps: ClientCredentialsDeps): void {
  const handle = async (ctx: Context): Promise<void> => {
    const { client, params } = ctx.oidc
    const member = await actingAs(deps, client.clientId)
    const [indicator = '', ...more] = [params.resource ?? []].flat()
    if (indicator === '' || more.length > 0)
      throw refuse('InvalidTarget', 'name one gateway by its address in `resource`')
    const server = new provider.ResourceServer(indicator, resourceServerOf(deps.resources, indicator))
    const scope = scopeOf({ held: server.scopes, offered: server.scopes, asked: params.scope || SCOPE })
    const { clientId } = client
    const gateway = deps.resources.find(indicator)?.slug ?? null
    requireLetIn(
      deps.whyNot,
      { member, claims: { clientId, factor: FACTOR }, gateway, address: ctx.ip },
      'InvalidGrant',
    )
    // The grant is the client itself: what it opened goes on when it gets its next token, and ends with it.
    const wish = { member, grantId: clientId, gty: CLIENT_CREDENTIALS, scope, server, more: { amr: [FACTOR] } }
    ctx.body = await giveToken(ctx, provider, wish)
  }
  provider.registerGrantType(CLIENT_CREDENTIALS, handle, ['scope', 'resource'], ['resource'])
}

async function actingAs({ accountOf, directory }: ClientCredentialsDeps, clientId: string): Promise<Member> {
  const accountId = await accountOf(clientId)
  if (accountId === null) throw refuse('UnauthorizedClient', 'this client is bound to no system account')
  const member = directory().findByAccountId(accountId)
  if (member?.isActive === true && member.kind === 'system') return member
  throw refuse('UnauthorizedClient', 'the system account of this client was switched off or removed')
}
