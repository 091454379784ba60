/** Remembers who rang until someone listens. */
export class Bell {
  #heard = new Set<string>()
  #wake: () => void = () => {}
  readonly #signal: AbortSignal

  constructor(signal: AbortSignal) {
    this.#signal = signal
    signal.addEventListener('abort', () => this.#wake(), { once: true })
  }

  ring(chain: string): void {
    // So many chains at once are not worth telling apart.
    this.#heard.add(this.#heard.size < 100 ? chain : '')
    this.#wake()
  }

  /** Resolves with what rang since the last time, at once or when something rings; with nothing on abort or after so long. */
  async heard(withinMs?: number): Promise<ReadonlySet<string>> {
    if (this.#heard.size === 0 && !this.#signal.aborted) {
      const timer = withinMs === undefined ? undefined : setTimeout(() => this.#wake(), withinMs).unref()
      await new Promise<void>((resolve) => (this.#wake = resolve))
      clearTimeout(timer)
    }
    const heard = this.#heard
    this.#heard = new Set()
    return heard
  }
}
