import { Problem } from '#kernel'
import { TIMED_OUT } from '../../problems.ts'

/** Aborts with a Problem after `ms`; for what we ask a server on our own account. */
export function deadline(server: string, ms: number): AbortSignal {
  const controller = new AbortController()
  const reason = () => new Problem(TIMED_OUT, `server "${server}" did not answer within ${ms / 1000} s (timeout_ms)`)
  setTimeout(() => controller.abort(reason()), ms).unref()
  return controller.signal
}
