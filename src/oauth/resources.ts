import type { JsonObject } from '#kernel'

/** A gateway as a resource that access tokens are made for. */
export type GatewayResource = {
  readonly slug: string
  readonly title: string
  /** What opens more than the gateway itself: asked for when it is needed, with what it allows in words. */
  readonly scopes: readonly { readonly scope: string; readonly allows: string }[]
}

/** The one gateway that is meant where none is named; or that none is, for a client that only asks who somebody is. */
export type Meant = { readonly indicator: string } | 'none' | 'unclear'

export type Resources = {
  /** The gateway of a resource indicator (RFC 8707), which is the very address clients connect to; null for any other. */
  find(indicator: string): GatewayResource | null
  /** What a client means that asks for these scopes and names no gateway. */
  meantBy(scopes: readonly string[]): Meant
  /** RFC 9728: where clients of a gateway get their tokens; null for a gateway that takes none. */
  describe(slug: string): JsonObject | null
}

export const SCOPE = 'mcp'

/** Scopes of OpenID Connect: who somebody is. They open no gateway. */
export const ABOUT_PEOPLE: readonly string[] = ['openid', 'offline_access', 'profile', 'email']

/** All that a token for this gateway may be given. */
export function scopesOf({ scopes }: GatewayResource): string[] {
  return [...new Set([SCOPE, ...scopes.map(({ scope }) => scope)])]
}

/** The gateways that take access tokens, as the authorization server knows them. */
export function createResources(deps: { issuer: () => string; gateways: () => readonly GatewayResource[] }): Resources {
  const indicatorOf = (slug: string): string => `${deps.issuer()}/mcp/${slug}`
  const find = (indicator: string): GatewayResource | null =>
    deps.gateways().find(({ slug }) => indicator === indicatorOf(slug)) ?? null
  return {
    find: (indicator) => find(indicator.replace(/\/$/, '')),
    meantBy: (scopes) => {
      const opening = scopes.filter((scope) => !ABOUT_PEOPLE.includes(scope))
      if (opening.length === 0) return 'none'
      const [one, ...more] = deps.gateways().filter((gateway) => opening.every((s) => scopesOf(gateway).includes(s)))
      return one === undefined || more.length > 0 ? 'unclear' : { indicator: indicatorOf(one.slug) }
    },
    describe: (slug) => {
      const resource = indicatorOf(slug)
      const gateway = find(resource)
      if (gateway === null) return null
      return {
        resource,
        authorization_servers: [deps.issuer()],
        scopes_supported: scopesOf(gateway),
        bearer_methods_supported: ['header'],
        resource_name: gateway.title,
      }
    },
  }
}
