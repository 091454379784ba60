import type Provider from 'oidc-provider'
import type { Clock } from '#kernel'
import { openRecord } from './provider/adapter.ts'
import { ACCESS_TOKEN_SECONDS } from './provider/resource-server.ts'
import { SCOPE, scopesOf, type Resources } from './resources.ts'
import type { Sealed } from './sealed.ts'
import type { OauthStore } from './store.ts'

export type ConnectedClient = {
  readonly grantId: string
  readonly name: string
  readonly gateways: readonly string[]
  readonly grantedAt: number
}

export type GrantDeps = {
  readonly provider: () => Provider
  readonly resources: Resources
  readonly store: OauthStore
  readonly sealed: Sealed
  readonly clock: Clock
}

/** What a client asked with, by the names of the wire. */
export type Params = Readonly<Record<string, unknown>>

export function wishesOf(params: Params): { scopes: string[]; indicator: string | null } {
  const resource = params['resource']
  const indicator: unknown = Array.isArray(resource) ? resource[0] : resource
  const scopes = textOf(params['scope']).split(' ').filter(Boolean)
  return { scopes, indicator: typeof indicator === 'string' && indicator !== '' ? indicator : null }
}

/** Writes down what a person has allowed. Resolves with the id of the grant. */
export async function saveGrant(deps: GrantDeps, wish: { params: Params; accountId: string }): Promise<string> {
  const provider = deps.provider()
  const grant = new provider.Grant({ accountId: wish.accountId, clientId: textOf(wish.params['client_id']) })
  const { scopes, indicator } = wishesOf(wish.params)
  grant.addOIDCScope(scopes.join(' '))
  const gateway = indicator === null ? null : deps.resources.find(indicator)
  if (indicator !== null && gateway !== null) {
    // Nothing is done at a gateway without the scope that opens it, asked for or not.
    const given = scopesOf(gateway).filter((scope) => scope === SCOPE || scopes.includes(scope))
    grant.addResourceScope(indicator, given)
  }
  return grant.save()
}

/**
 * The programs that can do something in somebody's name: those with something to get tokens with, and those that may
 * still hold one. A grant outlives both, and nobody needs to end what has ended by itself.
 */
export async function listGrants(deps: GrantDeps, accountId: string): Promise<ConnectedClient[]> {
  const { store, sealed, resources, provider, clock } = deps
  const now = clock.now()
  const useful = new Set(await store.usefulGrants(accountId, now))
  const isFresh = (createdAt: number): boolean => createdAt > now - ACCESS_TOKEN_SECONDS * 1_000
  const rows = await store.ofAccount('Grant', accountId)
  return Promise.all(
    rows
      .filter(
        ({ id, created_at, expires_at }) => (expires_at ?? now + 1) > now && (useful.has(id) || isFresh(created_at)),
      )
      .map(async (row) => {
        const payload = openRecord(sealed, row)
        const client = await provider().Client.find(payload.clientId ?? '')
        const indicators = Object.keys(payload.resources ?? {})
        return {
          grantId: payload.jti ?? '',
          name: client?.clientName ?? payload.clientId ?? '',
          gateways: indicators.flatMap((indicator) => resources.find(indicator)?.slug ?? []),
          grantedAt: row.created_at,
        }
      }),
  )
}

export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
