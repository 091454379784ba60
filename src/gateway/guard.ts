import type { IncomingMessage } from 'node:http'
import { Problem } from '#kernel'
import { FORBIDDEN_ORIGIN } from './problems.ts'

/**
 * Keeps web pages of others away (DNS rebinding): a browser cannot lie about `Host` and `Origin`. On a loopback
 * listener `Host` must be a loopback name or the public one; `Origin`, where sent, must be ours, loopback or allowed.
 */
export function guardOrigin(req: IncomingMessage, allowed: { publicUrl: string; origins: readonly string[] }): void {
  const onLoopback = isLoopbackAddress(req.socket.localAddress ?? '')
  const publicOrigin = new URL(allowed.publicUrl)
  if (onLoopback) requireHost(req.headers.host ?? '', publicOrigin.host)
  const origin = req.headers.origin
  if (origin === undefined || allowed.origins.includes(origin)) return
  const url = URL.canParse(origin) ? new URL(origin) : null
  if (url !== null && url.origin === publicOrigin.origin) return
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

function isLoopbackName(name: string): boolean {
  return name === 'localhost' || name === '[::1]' || /^127(\.\d{1,3}){3}$/.test(name)
}

function isLoopbackAddress(address: string): boolean {
  return address === '::1' || address.startsWith('127.') || address.startsWith('::ffff:127.')
}
