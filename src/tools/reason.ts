import { errorCode, isProblem } from '#kernel'
import { NEEDS_CONSENT } from './problems.ts'

/** Why something failed, in words that may be shown: a Problem's own text, or the plain cause of an outage. */
export function reasonOf(error: unknown): { reason: string; needsConsent: boolean } {
  if (isProblem(error)) return { reason: error.message, needsConsent: isProblem(error, NEEDS_CONSENT) }
  return { reason: plainReason(error), needsConsent: false }
}

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
