import { errorCode, isProblem } from '#kernel'
import { LISTS_TOO_MUCH, NEEDS_CONSENT } from '../problems.ts'

type Said = { readonly reason: string; readonly state: 'needs_consent' | 'degraded' | 'unreachable' }

/**
 * Why a server could not be listed, in words that may be shown (a Problem's own text, or the plain cause of an outage),
 * and how the server is then: one that answers is not unreachable.
 */
export function reasonOf(error: unknown): Said {
  if (!isProblem(error)) return { reason: plainReason(error), state: 'unreachable' }
  return { reason: error.message, state: STATES.get(error.kind.code) ?? 'unreachable' }
}

const STATES = new Map<string, Said['state']>([
  [NEEDS_CONSENT.code, 'needs_consent'],
  [LISTS_TOO_MUCH.code, 'degraded'],
])

const CODES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens at its address (connection refused)',
  ECONNRESET: 'it closed the connection in the middle',
  ENOTFOUND: 'its host name is not known',
  EAI_AGAIN: 'its host name could not be looked up',
  ETIMEDOUT: 'the connection timed out',
  EHOSTUNREACH: 'its host cannot be reached',
  ENETUNREACH: 'its network cannot be reached',
  EPIPE: 'it closed the connection in the middle',
  UND_ERR_CONNECT_TIMEOUT: 'the connection timed out',
  UND_ERR_SOCKET: 'it closed the connection in the middle',
  UND_ERR_HEADERS_TIMEOUT: 'it sent no answer',
  UND_ERR_BODY_TIMEOUT: 'it stopped in the middle of its answer',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
}

function plainReason(error: unknown): string {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    const code = errorCode(at)
    if (code !== undefined && CODES[code]) return CODES[code]
  }
  return error instanceof Error && error.message
    ? error.message.slice(0, 300)
    : 'it failed for a reason that it did not give'
}

/**
 * What only admins may read of a failure: commands, process ids, the last words of a program. It travels as a cause, so
 * that whoever shows an error shows the plain text unless they ask for this.
 */
export class AdminDetail extends Error {
  override readonly name = 'AdminDetail'
}

/** Why something failed, for an admin: the detail where there is one. */
export function adminReasonOf(error: unknown): string {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    if (at instanceof AdminDetail) return at.message
  }
  return reasonOf(error).reason
}
