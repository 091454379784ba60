import type { JsonObject } from '#kernel'

/** A gateway as a resource that access tokens are made for. */
export type GatewayResource = {
  readonly slug: string
  readonly title: string
  /** What opens more than the gateway itself: asked for when it is needed, with what it allows in words. */
  readonly scopes: readonly { readonly scope: string; readonly allows: string }[]
}

export type Resources = {
  /** The gateway of a resource indicator (RFC 8707), which is the very address clients connect to; null for any other. */
  find(indicator: string): GatewayResource | null
  /** RFC 9728: where clients of a gateway get their tokens; null for a gateway that takes none. */
  describe(slug: string): JsonObject | null
}

export const SCOPE = 'mcp'

/** All that a token for this gateway may be given. */
export function scopesOf({ scopes }: GatewayResource): string[] {
  return [...new Set([SCOPE, ...scopes.map(({ scope }) => scope)])]
}

/** The gateways that take access tokens, as the authorization server knows them. */
export function createResources(deps: { issuer: () => string; gateways: () => readonly GatewayResource[] }): Resources {
  const find = (indicator: string): GatewayResource | null =>
    deps.gateways().find(({ slug }) => indicator === `${deps.issuer()}/mcp/${slug}`) ?? null
  return {
    find: (indicator) => find(indicator.replace(/\/$/, '')),
    describe: (slug) => {
      const resource = `${deps.issuer()}/mcp/${slug}`
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
