import { isIP } from 'node:net'
import type { ClientMetadata } from 'oidc-provider'
import { CLIENT_CREDENTIALS } from '../house-grants/client-credentials.ts'
import type { Origin } from '../clients/schema.ts'
import { JWT_BEARER } from '../house-grants/jwt-bearer.ts'
import { TOKEN_EXCHANGE } from '../house-grants/token-exchange.ts'
import { errors } from './library.ts'

const MAX_REDIRECTS = 20
const MAX_CHARS = 2_048
/** Ways to a token on which nobody is asked. */
const BY_ADMINS: readonly string[] = [CLIENT_CREDENTIALS, TOKEN_EXCHANGE, JWT_BEARER]
const WEB_LINKS = ['client_uri', 'logo_uri', 'policy_uri', 'tos_uri', 'jwks_uri', 'sector_identifier_uri'] as const
/** Schemes that a browser or a system runs, opens or reads by itself. */
const UNSAFE = /^(?:javascript|data|vbscript|file|blob|about|ftp|ws|wss|view-source|intent|mailto|tel):/i

/**
 * What a client may say of itself, by registration (RFC 7591) or in its own metadata document: redirects go to https, to
 * this machine, or to an app's own scheme (RFC 8252 §7); links lead to the public web. Throws what the client is told.
 */
export function checkClientMetadata(metadata: ClientMetadata, origin: Origin): void {
  const redirects = [...(metadata.redirect_uris ?? []), ...(metadata.post_logout_redirect_uris ?? [])]
  if (redirects.length > MAX_REDIRECTS || !redirects.every(isSafeRedirect)) throw new errors.InvalidRedirectUri()
  checkName(metadata)
  if (origin !== 'registered') checkGrants(metadata)
  for (const name of WEB_LINKS) {
    const link = metadata[name]
    if (link !== undefined && !isPublicLink(link))
      throw new errors.InvalidClientMetadata(`${name} must be an https address on the public web`)
  }
  const logout = metadata.backchannel_logout_uri
  if (logout !== undefined && !isLogoutAddress(logout))
    throw new errors.InvalidClientMetadata('backchannel_logout_uri must be a web address without a fragment')
}

function checkGrants({ grant_types: grants = [] }: ClientMetadata): void {
  const beyond = grants.find((grant) => BY_ADMINS.includes(grant))
  if (beyond !== undefined) throw new errors.InvalidClientMetadata(`only an admin makes a client for ${beyond}`)
}

function checkName(metadata: ClientMetadata): void {
  const name = metadata.client_name
  if (name !== undefined && (typeof name !== 'string' || name.length > 200 || /\p{Cc}|\p{Cf}/u.test(name)))
    throw new errors.InvalidClientMetadata('client_name must be a text of at most 200 printable characters')
}

function isSafeRedirect(uri: unknown): boolean {
  if (typeof uri !== 'string' || uri.length > MAX_CHARS || UNSAFE.test(uri)) return false
  // Parsers of addresses drop control characters and spaces, and read a backslash as a slash, without a word.
  if (/[^\x21-\x7e]|[#\\]/.test(uri)) return false
  const url = URL.canParse(uri) ? new URL(uri) : null
  if (url === null || url.username !== '' || url.password !== '') return false
  if (url.protocol === 'https:') return url.hostname !== ''
  if (url.protocol === 'http:') return ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)
  return /^[a-z][a-z0-9+.-]{1,63}:$/.test(url.protocol)
}

function isPublicLink(link: unknown): boolean {
  if (typeof link !== 'string' || link.length > MAX_CHARS || !URL.canParse(link)) return false
  const { protocol, hostname, username } = new URL(link)
  const host = hostname.replace(/^\[|\]$|\.$/g, '') // brackets, and the dot of the root
  return (
    protocol === 'https:' && username === '' && isIP(host) === 0 && host.includes('.') && !host.endsWith('.localhost')
  )
}

/** Where a client hears that somebody signed out; what may be dialled is decided when it is. */
function isLogoutAddress(address: unknown): boolean {
  if (typeof address !== 'string' || address.length > MAX_CHARS || !URL.canParse(address)) return false
  const { protocol, username, password, hash } = new URL(address)
  return ['https:', 'http:'].includes(protocol) && username === '' && password === '' && hash === ''
}
