import type { IncomingHttpHeaders } from 'node:http'

/** Set by the listener on every request, whatever the client sent: the address at the other end of the connection. */
export const PEER_HEADER = 'gatehouse-peer-address'

const PROXY_HEADERS = ['forwarded', 'x-forwarded-for', 'x-real-ip']

/**
 * The address at the other end of a connection. Behind a proxy that is the proxy's, often of this very machine, and
 * says nothing about who asks: then it is "a proxy", which is near to nobody.
 */
export function connectionAddress(req: {
  readonly headers: IncomingHttpHeaders
  readonly socket: { readonly remoteAddress?: string | undefined }
}): string {
  if (PROXY_HEADERS.some((name) => req.headers[name] !== undefined)) return 'a proxy'
  return req.socket.remoteAddress ?? 'unknown'
}

/** Where a request came from; empty for a caller inside this process. */
export function peerAddress(request: { headers: Headers }): string {
  return request.headers.get(PEER_HEADER) ?? ''
}

/** True for an address that only this machine has. */
export function isLoopbackAddress(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\./.test(address)
}

/** True for a host as a URL writes it, without its port, that always means the machine of whoever asks. */
export function isLoopbackName(name: string): boolean {
  return name === 'localhost' || name === '[::1]' || /^127(\.\d{1,3}){3}$/.test(name)
}
