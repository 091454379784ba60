import type { Log } from '#telemetry'

const EVERY_MS = 60_000

/** Remembers when keys were used, and writes it down once a minute, so that using a key costs no query. */
export class LastUse {
  #pending = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined
  readonly #save: (uses: ReadonlyMap<string, number>) => Promise<void>
  readonly #log: Log

  constructor(deps: { save: (uses: ReadonlyMap<string, number>) => Promise<void>; log: Log }) {
    this.#save = deps.save
    this.#log = deps.log
  }

  note(keyId: string, at: number): void {
    this.#pending.set(keyId, at)
    this.#timer ??= setTimeout(() => void this.flush(), EVERY_MS).unref()
  }

  /** Not yet written down. */
  pending(keyId: string): number | undefined {
    return this.#pending.get(keyId)
  }

  /** Writes all there is. A failure is logged only: it is not worth failing for. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const uses = this.#pending
    this.#pending = new Map()
    if (uses.size === 0) return
    try {
      await this.#save(uses)
    } catch (error) {
      this.#log.warn({ err: error, keys: uses.size }, 'the last use of API keys could not be saved')
    }
  }
}
