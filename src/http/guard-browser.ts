import { Problem } from '#kernel'
import { isLoopbackAddress, isLoopbackName, peerAddress } from './contract/peer.ts'
import { FORBIDDEN_ORIGIN } from './contract/problems.ts'

export type BrowserRules = {
  /** True while only this machine can connect. */
  readonly isLoopbackListener: boolean
  readonly publicUrl: () => string
  /** Origins whose pages may use the API, besides our own. */
  readonly origins: readonly string[]
}

/**
 * Keeps the pages of others away (DNS rebinding, cross-site requests); a browser cannot lie about `Host` and `Origin`.
 * A caller in this process sends neither.
 */
export function guardBrowser(request: Request, rules: BrowserRules): void {
  const publicUrl = URL.canParse(rules.publicUrl()) ? new URL(rules.publicUrl()) : null
  const host = request.headers.get('host')?.toLowerCase()
  // From this machine a foreign `Host` is a web page that plays with DNS, wherever else we may be reached.
  const isFromHere = rules.isLoopbackListener || isLoopbackAddress(peerAddress(request))
  if (host !== undefined && isFromHere) requireHost(host, publicUrl)
  const origin = request.headers.get('origin')
  if (origin !== null) requireOrigin(origin, [...rules.origins, publicUrl?.origin, ...originsOf(host)])
}

function requireHost(host: string, publicUrl: URL | null): void {
  if (host === publicUrl?.host || isLoopbackName(host.replace(/:\d{1,5}$/, ''))) return
  throw new Problem(FORBIDDEN_ORIGIN, `"${host.slice(0, 200)}" is not a name of this house. Use its published address.`)
}

function requireOrigin(origin: string, allowed: readonly (string | undefined)[]): void {
  if (allowed.includes(origin)) return
  throw new Problem(
    FORBIDDEN_ORIGIN,
    `Pages of "${origin.slice(0, 200)}" may not use this API. Its operator can allow them with server.allowed_origins.`,
  )
}

/** Our own pages, under whatever name the checked `Host` has. */
function originsOf(host: string | undefined): readonly string[] {
  return host === undefined ? [] : [`http://${host}`, `https://${host}`]
}
