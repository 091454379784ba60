import { Problem } from '#kernel'
import { CANCELLED, OVERLOADED } from './problems.ts'

/**
 * Calls at once to one server. Who finds no slot waits in a short line with a deadline; a full line or a passed
 * deadline is a clear refusal, never an endless queue.
 */
export type Slots = {
  acquire(signal: AbortSignal): Promise<void> | null
  release(): void
  readonly used: number
  readonly waiting: number
}

export function createSlots(options: { server: string; max: number; maxWaiting: number; waitMs: number }): Slots {
  const line: { enter(): void }[] = []
  let used = 0

  function wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', abort)
        const at = line.indexOf(entry)
        if (at >= 0) line.splice(at, 1)
      }
      const entry = { enter: () => (leave(), resolve()) }
      const abort = (): void => (
        leave(),
        reject(new Problem(CANCELLED, 'The call was cancelled while it waited for its turn.'))
      )
      const timer = setTimeout(() => (leave(), reject(overloaded(options))), options.waitMs)
      signal.addEventListener('abort', abort, { once: true })
      line.push(entry)
    })
  }

  return {
    get used() {
      return used
    },
    get waiting() {
      return line.length
    },
    acquire(signal) {
      if (used < options.max) {
        used += 1
        return null
      }
      if (line.length >= options.maxWaiting) throw overloaded(options)
      return wait(signal)
    },
    release() {
      const next = line.shift()
      if (next) next.enter()
      else used -= 1
    },
  }
}

function overloaded(options: { server: string; max: number }): Problem {
  return new Problem(
    OVERLOADED,
    `Server "${options.server}" already works on ${options.max} calls, its limit. Try again in a moment, or raise max_concurrency.`,
  )
}
