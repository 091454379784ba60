import type { IncomingMessage } from 'node:http'
import { isLoopbackAddress, isLoopbackName } from '#http'
import { Problem } from '#kernel'
import { FORBIDDEN_ORIGIN } from './problems.ts'

/** Throws a Problem for a request that a web page of somebody else may have sent. */
export type Guard = (req: IncomingMessage) => void

/**
 * Keeps web pages of others away (DNS rebinding): a browser cannot lie about `Host` and `Origin`. On a loopback
 * listener `Host` must be a loopback name or the public one; `Origin`, where sent, must be ours, loopback or allowed.
 */
export function createGuard(allowed: { publicUrl: () => string; origins: readonly string[] }): Guard {
  let ours = { url: '', host: '', origin: '' }
  return (req) => {
    const url = allowed.publicUrl()
    if (ours.url !== url) ours = { url, host: new URL(url).host, origin: new URL(url).origin }
    if (isLoopbackAddress(req.socket.localAddress ?? '')) requireHost(req.headers.host ?? '', ours.host)
    const { origin } = req.headers
    if (origin !== undefined && !allowed.origins.includes(origin)) requireOrigin(origin, ours.origin)
  }
}

function requireOrigin(origin: string, publicOrigin: string): void {
  const url = URL.canParse(origin) ? new URL(origin) : null
  if (url !== null && url.origin === publicOrigin) return
  if (url !== null && /^https?:$/.test(url.protocol) && isLoopbackName(url.hostname)) return
  throw new Problem(
    FORBIDDEN_ORIGIN,
    `Pages of the origin "${origin.slice(0, 200)}" may not use this gateway. Its operator can allow the origin.`,
  )
}

function requireHost(host: string, publicHost: string): void {
  if (host.toLowerCase() === publicHost.toLowerCase()) return
  if (isLoopbackName(host.toLowerCase().replace(/:\d{1,5}$/, ''))) return
  throw new Problem(
    FORBIDDEN_ORIGIN,
    `The Host "${host.slice(0, 200)}" is not a name of this gateway. Use the address that its operator published.`,
  )
}
