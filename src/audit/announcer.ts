import type { ChangeBus } from '#storage'
import type { Log } from '#telemetry'
import { TOPIC } from './follow.ts'

/** Tells all replicas that this chain has grown, at most four times a second. */
export class Announcer {
  readonly #changes: ChangeBus
  readonly #log: Log
  #timer: NodeJS.Timeout | undefined
  #mustTell = false
  #work: Promise<void> = Promise.resolve()

  constructor(changes: ChangeBus, log: Log) {
    this.#changes = changes
    this.#log = log
  }

  note(chain: string): void {
    if (this.#timer) {
      this.#mustTell = true
      return
    }
    this.#tell(chain)
    this.#timer = setTimeout(() => this.#again(chain), 250).unref()
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#work
  }

  #again(chain: string): void {
    this.#timer = undefined
    if (this.#mustTell) this.note(chain)
    this.#mustTell = false
  }

  #tell(chain: string): void {
    this.#work = this.#changes
      .publish(TOPIC, chain)
      .catch((error: unknown) => this.#log.debug({ err: error }, 'followers of the audit trail could not be told'))
  }
}
