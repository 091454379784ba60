import type { Log } from '#telemetry'
import { removeOld, type RetentionDeps, type RetentionReport } from './retention.ts'

const FIRST_MS = 60_000
const EVERY_MS = 3_600_000

/** Runs retention now and then, and when asked; one run at a time in this process. */
export class Keeping {
  readonly #deps: RetentionDeps
  readonly #log: Log
  readonly #stop = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #work: Promise<unknown> = Promise.resolve()

  constructor(deps: RetentionDeps) {
    this.#deps = deps
    this.#log = deps.log
    if (deps.keepMs !== undefined || deps.keepPayloadsMs !== undefined) this.#later(FIRST_MS)
  }

  run(): Promise<RetentionReport> {
    const run = this.#work.then(() => removeOld(this.#deps, this.#stop.signal))
    this.#work = run.catch(() => {})
    return run
  }

  /** Resolves when a run that is under way has stopped at the next safe place. */
  async close(): Promise<void> {
    this.#stop.abort()
    clearTimeout(this.#timer)
    await this.#work
  }

  #later(ms: number): void {
    this.#timer = setTimeout(() => {
      const failed = (error: unknown) => this.#log.error({ err: error }, 'old audit records could not be removed')
      void this.run().catch(failed)
      this.#later(EVERY_MS)
    }, ms).unref()
  }
}
