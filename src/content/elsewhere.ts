import { Worker } from 'node:worker_threads'
import { Problem } from '#kernel'
import type { Log } from '#telemetry'
import { NOT_CHECKED } from './problems.ts'
import type { VersionedRule } from './schema.ts'
import type { Screened } from './screen.ts'
import type { Answer, Look, Order } from './worker-messages.ts'

/** Looks through large messages on threads of their own, so that no content holds up the house. */
export type Elsewhere = {
  /** Rejects with `content/not-checked` when it takes too long, too many wait, or the thread fails. */
  look(rules: readonly VersionedRule[], look: Look): Promise<Screened>
  close(): Promise<void>
}

type Limits = { readonly threads: number; readonly waiting: number; readonly deadlineMs: number }
const LIMITS: Limits = { threads: 2, waiting: 64, deadlineMs: 10_000 }

type Waiting = {
  readonly resolve: (screened: Screened) => void
  readonly reject: (error: Error) => void
  readonly deadline: NodeJS.Timeout
}

/** Starts its threads when there is something to do. */
export function createElsewhere(deps: { tokenKey: Uint8Array; log: Log; limits?: Partial<Limits> }): Elsewhere {
  const limits = { ...LIMITS, ...deps.limits }
  const threads = Array.from({ length: limits.threads }, () => new Thread(deps, limits.deadlineMs))
  return {
    look: (rules, look) => {
      const [idlest] = threads.toSorted((a, b) => a.waiting - b.waiting)
      const waiting = threads.reduce((sum, thread) => sum + thread.waiting, 0)
      if (idlest === undefined || waiting >= limits.waiting) throw notChecked('too many wait for that')
      return idlest.look(rules, look)
    },
    close: async () => void (await Promise.all(threads.map((thread) => thread.stop(notChecked('the house closes'))))),
  }
}

class Thread {
  readonly #deps: { readonly tokenKey: Uint8Array; readonly log: Log }
  readonly #deadlineMs: number
  readonly #waiting = new Map<number, Waiting>()
  #worker: Worker | undefined
  /** The rules that the thread has compiled. */
  #rules: readonly VersionedRule[] | undefined
  #lastNumber = 0

  constructor(deps: { readonly tokenKey: Uint8Array; readonly log: Log }, deadlineMs: number) {
    this.#deps = deps
    this.#deadlineMs = deadlineMs
  }

  get waiting(): number {
    return this.#waiting.size
  }

  look(rules: readonly VersionedRule[], look: Look): Promise<Screened> {
    const worker = (this.#worker ??= this.#start())
    if (this.#rules !== rules) this.#tell(worker, { kind: 'rules', rules })
    this.#rules = rules
    const number = (this.#lastNumber += 1)
    const { promise, resolve, reject } = Promise.withResolvers<Screened>()
    const deadline = setTimeout(() => void this.stop(notChecked('it takes too long')), this.#deadlineMs)
    this.#waiting.set(number, { resolve, reject, deadline })
    this.#tell(worker, { kind: 'look', number, look })
    return promise
  }

  /** Ends the thread with everything that waits for it; the next look starts another. */
  async stop(why: Problem): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    this.#rules = undefined
    for (const { reject, deadline } of this.#waiting.values()) {
      clearTimeout(deadline)
      reject(why)
    }
    this.#waiting.clear()
    await worker?.terminate()
  }

  #start(): Worker {
    const { tokenKey, log } = this.#deps
    const worker = new Worker(new URL('worker.ts', import.meta.url), { workerData: { tokenKey } })
    worker.unref()
    worker.on('message', (answer: Answer) => this.#take(answer))
    worker.on('error', (error: unknown) => {
      log.error(
        { error: error instanceof Error ? error.name : 'unknown' },
        'the thread that looks through large messages failed',
      )
      if (this.#worker === worker) void this.stop(notChecked('looking through it failed'))
    })
    return worker
  }

  #tell(worker: Worker, order: Order): void {
    worker.postMessage(order)
  }

  #take(answer: Answer): void {
    const waiting = this.#waiting.get(answer.number)
    if (!waiting) return
    this.#waiting.delete(answer.number)
    clearTimeout(waiting.deadline)
    if ('screened' in answer) waiting.resolve(answer.screened)
    else waiting.reject(notChecked('looking through it failed'))
  }
}

function notChecked(why: string): Problem {
  return new Problem(
    NOT_CHECKED,
    `This is large, and could not be looked through for the content rules: ${why}. It did not pass.`,
  )
}
