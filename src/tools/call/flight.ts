/** The calls that run in this process, so that it can wait for their end before it stops. */
export class Flight {
  #count = 0
  #landed = Promise.withResolvers<void>()

  get count(): number {
    return this.#count
  }

  /** Runs a call and counts it meanwhile. */
  async track<T>(call: () => Promise<T>): Promise<T> {
    this.#count += 1
    try {
      return await call()
    } finally {
      this.#count -= 1
      if (this.#count === 0) this.#land()
    }
  }

  /** Resolves when no call runs, or when the signal aborts. */
  async landed(signal: AbortSignal): Promise<void> {
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    while (this.#count > 0 && !signal.aborted) await Promise.race([this.#landed.promise, aborted])
  }

  #land(): void {
    this.#landed.resolve()
    this.#landed = Promise.withResolvers<void>()
  }
}
