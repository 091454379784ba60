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
  if (status === 401 || status === 403) return 'refused'
  const isVague = error === undefined || isMadeUp(error.code)
  if (hasSession && (status === 404 || (status === 400 && isVague))) return 'gone'
  const isMisfit = status === 400 || status === 404 || status === 405
  if (isMisfit && (isVague || refusal.isInitialize || isOtherVersion(error))) return 'wrong-era'
  return error === undefined ? 'refused' : 'error'
}

/** Codes that servers chose for themselves; the standard gives them no meaning. */
function isMadeUp(code: number): boolean {
  return code <= -32000 && code > -32020
}

function isOtherVersion(error: RpcError | undefined): boolean {
  return error?.code === -32022
}
