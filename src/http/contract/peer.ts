/** Set by the listener on every request, whatever the client sent: the address at the other end of the connection. */
export const PEER_HEADER = 'gatehouse-peer-address'

/** Where a request came from; empty for a caller inside this process. */
export function peerAddress(request: { headers: Headers }): string {
  return request.headers.get(PEER_HEADER) ?? ''
}

/** True for an address that only this machine has. */
export function isLoopbackAddress(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\./.test(address)
}
