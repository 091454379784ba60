import { Problem } from '#kernel'
import { FORBIDDEN_ORIGIN } from './contract/problems.ts'

export type BrowserRules = {
  /** True while only this machine can connect: then a foreign `Host` is a web page that plays with DNS. */
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
  const host = request.headers.get('host')
  const publicUrl = URL.canParse(rules.publicUrl()) ? new URL(rules.publicUrl()) : null
  if (host !== null && rules.isLoopbackListener && host.toLowerCase() !== publicUrl?.host && !isLoopbackHost(host)) {
    throw new Problem(
      FORBIDDEN_ORIGIN,
      `"${host.slice(0, 200)}" is not a name of this house. Use its published address.`,
    )
  }
  const origin = request.headers.get('origin')
  if (origin === null || rules.origins.includes(origin) || origin === publicUrl?.origin) return
  if (host !== null && isSameHost(origin, host)) return
  throw new Problem(
    FORBIDDEN_ORIGIN,
    `Pages of "${origin.slice(0, 200)}" may not use this API. Its operator can allow them with server.allowed_origins.`,
  )
}

function isLoopbackHost(host: string): boolean {
  const name = host.toLowerCase().replace(/:\d{1,5}$/, '')
  return name === 'localhost' || name === '[::1]' || /^127(\.\d{1,3}){3}$/.test(name)
}

/** Our own pages, under whatever name the checked `Host` has. */
function isSameHost(origin: string, host: string): boolean {
  return URL.canParse(origin) && new URL(origin).host === host.toLowerCase()
}
