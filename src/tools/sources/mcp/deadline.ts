import { Problem } from '#kernel'
import { TIMED_OUT } from '../../problems.ts'

/** Aborts with a Problem after `ms`, which `setting` gave; for what we ask a server on our own account. */
export function deadline(server: string, ms: number, setting = 'timeout_ms'): AbortSignal {
  const controller = new AbortController()
  const reason = () => new Problem(TIMED_OUT, `server "${server}" did not answer within ${ms / 1000} s (${setting})`)
  setTimeout(() => controller.abort(reason()), ms).unref()
  return controller.signal
}
