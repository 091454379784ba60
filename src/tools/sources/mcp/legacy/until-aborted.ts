import { Problem } from '#kernel'
import { CANCELLED } from '../../../problems.ts'

/** Stops waiting when the caller cancels; what is waited for goes on, since others may want it. */
export function untilAborted<Value>(promise: Promise<Value>, signal: AbortSignal, server: string): Promise<Value> {
  return new Promise((resolve, reject) => {
    const cancel = () => reject(new Problem(CANCELLED, `the call to server "${server}" was cancelled`))
    if (signal.aborted) return cancel()
    signal.addEventListener('abort', cancel, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', cancel))
  })
}
