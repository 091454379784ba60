import type { RpcError } from '../../../source.ts'

/**
 * What it means that a server of the session era refused a request with an HTTP status:
 * - `gone`: it no longer knows the session. 404 is the standard's word; some say 400 after a restart.
 * - `wrong-era`: it does not know this way of talking at all.
 * - `error`: it understood, and its JSON-RPC error is the answer.
 * - `refused`: anything else, by status.
 */
export function judgeRefusal(refusal: {
  status: number
  error: RpcError | undefined
  hasSession: boolean
  isInitialize: boolean
}): 'gone' | 'wrong-era' | 'error' | 'refused' {
  const { status, error, hasSession } = refusal
  if (!MISFITS.has(status)) return error === undefined || AUTHORIZATION.has(status) ? 'refused' : 'error'
  const isVague = error === undefined || isMadeUp(error.code)
  if (hasSession && (status === 404 || (status === 400 && isVague))) return 'gone'
  return isVague || refusal.isInitialize || error.code === UNSUPPORTED_VERSION ? 'wrong-era' : 'error'
}

const AUTHORIZATION = new Set([401, 403])
const MISFITS = new Set([400, 404, 405])
const UNSUPPORTED_VERSION = -32022

/** Codes that servers chose for themselves; the standard gives them no meaning. */
function isMadeUp(code: number): boolean {
  return code <= -32000 && code > -32020
}
