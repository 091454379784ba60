import type { ReplayStream } from './replay.ts'

/** The memory that all kept events share. When it is used up, streams that are finished are forgotten, oldest first. */
export class ReplayBudget {
  readonly #maxBytes: number
  readonly #finished = new Set<ReplayStream>()
  #usedBytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  add(bytes: number): void {
    this.#usedBytes += bytes
    if (bytes > 0) this.#makeRoom()
  }

  finished(stream: ReplayStream): void {
    this.#finished.add(stream)
    this.#makeRoom()
  }

  release(stream: ReplayStream, bytes: number): void {
    this.#finished.delete(stream)
    this.#usedBytes -= bytes
  }

  #makeRoom(): void {
    for (const stream of this.#finished) {
      if (this.#usedBytes <= this.#maxBytes) return
      stream.discard()
    }
  }
}
