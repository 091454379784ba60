import { isIP } from 'node:net'
import { Problem } from '#kernel'
import { BAD_FACTOR } from '../problems.ts'

/** What passkeys are made for: a domain, and the one origin of it whose answers count. */
export type RelyingParty = { readonly rpID: string; readonly origin: string }

/** Passkeys know no addresses, only domains (WebAuthn §5.1.2). A house on this machine is `localhost` to them. */
export function relyingPartyOf(publicUrl: string): RelyingParty {
  const { protocol, hostname, port, origin } = new URL(publicUrl)
  if (hostname === '127.0.0.1' || hostname === '[::1]')
    return { rpID: 'localhost', origin: new URL(`${protocol}//localhost:${port}`).origin }
  if (isIP(hostname.replaceAll(/[[\]]/g, '')) !== 0)
    throw new Problem(
      BAD_FACTOR,
      `Passkeys need a domain, and this house is reached at ${origin}; set server.public_url.`,
    )
  return { rpID: hostname, origin }
}
