import type { Log } from '#telemetry'
import type { ChangeBus } from './contract.ts'

const RETRY_MS = 1_000

export type InStepDeps = {
  readonly changes: ChangeBus
  readonly log: Log
  /** What changes of it are announced under. */
  readonly topic: string
  /** What is kept in memory, as a log says it: "the login policy". */
  readonly what: string
  /** Reads what is stored and puts it into force. */
  readonly read: () => Promise<void>
}

/**
 * Keeps what one process holds in memory in step with what is stored, whichever replica changes it. What was in force
 * stays so until the newer has been read, and a replica that missed a change would be a hole: it tries until it has it.
 */
export class InStep {
  readonly #deps: InStepDeps
  readonly #unsubscribe: () => void
  #reading: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined
  #isClosed = false

  /** Follows changes from now on; `reload` reads for the first time. */
  constructor(deps: InStepDeps) {
    this.#deps = deps
    this.#unsubscribe = deps.changes.subscribe(deps.topic, () => this.#reloadUntilDone())
  }

  /** Resolves when what was stored before this moment is in force here. Many asking at once share one reading. */
  reload(): Promise<void> {
    if (this.#isClosed) return this.#reading
    this.#next ??= this.#reading.then(() => {
      this.#next = undefined
      const reading = this.#deps.read()
      this.#reading = reading.catch(() => {})
      return reading
    })
    return this.#next
  }

  /**
   * Tells every replica of a change that is stored, this one first. If the store fails now, goes on trying: the change
   * is made, and whoever made it shall not hear that it was not.
   */
  async announce(payload = ''): Promise<void> {
    try {
      await this.reload()
      await this.#deps.changes.publish(this.#deps.topic, payload)
    } catch (err) {
      if (this.#isClosed) return
      const { log, what } = this.#deps
      log.error(
        { err, ...(payload === '' ? {} : { changed: payload }) },
        `a change of ${what} is stored, but not yet in force everywhere`,
      )
      setTimeout(() => void this.announce(payload), RETRY_MS).unref()
    }
  }

  /** Resolves when nothing is being read any more. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#unsubscribe()
    clearTimeout(this.#retry)
    await this.#next?.catch(() => {})
    await this.#reading
  }

  #reloadUntilDone(): void {
    clearTimeout(this.#retry)
    this.reload().catch((err: unknown) => {
      if (this.#isClosed) return
      const { log, what } = this.#deps
      log.error({ err }, `${what} could not be read again; what was in force stays so until it is`)
      clearTimeout(this.#retry)
      this.#retry = setTimeout(() => this.#reloadUntilDone(), RETRY_MS).unref()
    })
  }
}
