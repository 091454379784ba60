import { isProblem, Problem } from '#kernel'
import { BROKEN_REPLY, NEEDS_CONSENT, TOO_LARGE, UNREACHABLE } from '../../problems.ts'
import { Refusal } from '../../servers/refusal.ts'

/** Why a server could not be used, in words that a caller may see: never an address, a header or a body. */

const CAUSES = new Map([
  ['ECONNREFUSED', 'it refused the connection'],
  ['ECONNRESET', 'it closed the connection'],
  ['EPIPE', 'it closed the connection'],
  ['UND_ERR_SOCKET', 'it closed the connection'],
  ['UND_ERR_CONNECT_TIMEOUT', 'connecting took too long'],
  ['ETIMEDOUT', 'connecting took too long'],
  ['ENOTFOUND', 'its host name is unknown'],
  ['EAI_AGAIN', 'its host name could not be looked up'],
  ['EHOSTUNREACH', 'there is no way to its host'],
  ['ENETUNREACH', 'there is no way to its network'],
  ['CERT_HAS_EXPIRED', 'its certificate has expired'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'its certificate is signed by itself'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'its certificate is for another name'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'its certificate is signed by nobody known'],
])

/** A failed connection as a Problem. A Problem somewhere in the causes (a blocked address) is that Problem. */
export function unreachable(server: string, cause: unknown): Problem {
  const problem = causeThat(cause, isProblem)
  if (problem !== undefined) return problem
  const code = causeThat(cause, hasCode)?.code
  const reason = (code === undefined ? undefined : CAUSES.get(code)) ?? code ?? 'the connection failed'
  return new Problem(UNREACHABLE, `server "${server}" could not be reached: ${reason}`, { cause })
}

/** A refusal by HTTP status that carries no JSON-RPC error. */
export function refused(server: string, status: number): Problem {
  switch (status) {
    case 401:
      return new Problem(
        NEEDS_CONSENT,
        `server "${server}" asks for a sign-in (it answered 401); give it a credential (headers)`,
      )
    case 403:
      return new Problem(
        UNREACHABLE,
        `server "${server}" does not let us in (it answered 403); check its credentials`,
        {
          cause: new Refusal('HTTP 403'),
        },
      )
    case 508:
      return new Problem(
        UNREACHABLE,
        `server "${server}" leads back to this house (it answered 508): a house cannot be a server of its own`,
      )
    default:
      return new Problem(UNREACHABLE, `server "${server}" answered with HTTP status ${status}`)
  }
}

/** A message over the limit of this server. */
export function tooLarge(server: string, maxBytes: number): Problem {
  return new Problem(TOO_LARGE, `server "${server}" sent more than ${maxBytes} bytes (max_result_bytes)`)
}

/** An answer that breaks the protocol; `what` goes on after the name of the server. */
export function brokenReply(server: string, what: string): Problem {
  return new Problem(BROKEN_REPLY, `server "${server}" ${what}`)
}

type WithCode = { readonly code: string }

function hasCode(value: unknown): value is WithCode {
  return typeof value === 'object' && value !== null && 'code' in value && typeof value.code === 'string'
}

/** Looks along `cause` and, for an AggregateError, into its first error. */
function causeThat<Found>(error: unknown, is: (value: unknown) => value is Found): Found | undefined {
  let at = error
  for (let depth = 0; depth < 8 && typeof at === 'object' && at !== null; depth += 1) {
    if (is(at)) return at
    at = at instanceof AggregateError ? at.errors[0] : at instanceof Error ? at.cause : undefined
  }
  return undefined
}
