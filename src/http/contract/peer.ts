import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import { withinNetworks } from '../networks.ts'

/** Set by the listener on every request, whatever the client sent: the address of whoever asks. */
export const PEER_HEADER = 'gatehouse-peer-address'

const PROXY_HEADERS = ['forwarded', 'x-forwarded-for', 'x-real-ip']
const MAX_HOPS = 32

/** As much of a request as says where it came from. */
export type Sent = {
  readonly headers: IncomingHttpHeaders
  readonly socket: { readonly remoteAddress?: string | undefined }
}

/**
 * Says where requests come from; whoever counts, judges or records an address asks this. It is the other end of the
 * connection, unless that is a proxy which the operator trusts (`trusted`, address ranges): then `X-Forwarded-For` is
 * read from its end, where each proxy adds whom it heard from, past every trusted one, to the first address that is none.
 * What stands before that was sent by whoever asks, and is worth nothing.
 *
 * Behind a proxy that is not trusted nobody knows who asks: that is `a proxy at ADDRESS`, which is no address, so it is
 * near to nobody and in no network.
 */
export function createCallerAddress(trusted: readonly string[]): (req: Sent) => string {
  const isTrusted = withinNetworks(trusted)
  return ({ headers, socket }) => {
    const peer = plain(socket.remoteAddress ?? 'unknown')
    if (PROXY_HEADERS.every((name) => headers[name] === undefined)) return peer
    return (isTrusted(peer) ? forwardedFor(headers, isTrusted) : null) ?? `a proxy at ${peer}`
  }
}

function forwardedFor(headers: IncomingHttpHeaders, isTrusted: (address: string) => boolean): string | null {
  const said = headers['x-forwarded-for']
  const hops = (Array.isArray(said) ? said.join(',') : (said ?? '')).split(',').slice(-MAX_HOPS).map(addressIn)
  const last = hops.findLastIndex((address) => address === null || !isTrusted(address))
  const caller = hops[Math.max(0, last)] ?? null
  // That it comes from this very machine, nobody is believed who is not the connection itself.
  return caller === null || isLoopbackAddress(caller) ? null : caller
}

/** Some proxies add a port: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function addressIn(hop: string): string | null {
  const text = hop.trim()
  const [, bare = text] = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text) ?? /^([\d.]+):\d{1,5}$/.exec(text) ?? []
  return isIP(bare) === 0 ? null : plain(bare)
}

/** An IPv4 address is written as one, also where the system writes it as IPv6. */
function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '')
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
