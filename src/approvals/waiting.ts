import type { Storage } from '#storage'

const TOPIC = 'approvals'
/** Beyond this many, calls end as pending at once and are made again later. */
const MAX_WAITING = 1_000

/** Calls that wait for an answer, and the news of one from whichever replica. */
export class Waiting {
  readonly #storage: Storage
  readonly #unsubscribe: () => void
  readonly #listeners = new Map<string, Set<() => void>>()
  #count = 0

  constructor(storage: Storage) {
    this.#storage = storage
    this.#unsubscribe = storage.changes.subscribe(TOPIC, (id) => this.#wake(id))
  }

  get count(): number {
    return this.#count
  }

  /** Something became of it. A lost message costs a waiting call time only: it looks by itself as well. */
  async tell(id: string): Promise<void> {
    this.#wake(id)
    await this.#storage.changes.publish(TOPIC, id)
  }

  /** Resolves at the next news, after so long, or when the signal aborts; with false while too many wait. */
  async next(id: string, { atMostMs, signal }: { atMostMs: number; signal: AbortSignal }): Promise<boolean> {
    if (this.#count >= MAX_WAITING) return false
    if (signal.aborted) return true
    const listeners = this.#listeners.get(id) ?? new Set()
    this.#listeners.set(id, listeners)
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, atMostMs)
    signal.addEventListener('abort', () => resolve(), { once: true })
    listeners.add(resolve)
    this.#count += 1
    await promise
    this.#count -= 1
    clearTimeout(timer)
    listeners.delete(resolve)
    if (listeners.size === 0 && this.#listeners.get(id) === listeners) this.#listeners.delete(id)
    return true
  }

  close(): void {
    this.#unsubscribe()
    this.#wake('')
  }

  /** `''`: something may have been missed. */
  #wake(id: string): void {
    const sets = id === '' ? [...this.#listeners.values()] : [this.#listeners.get(id) ?? new Set()]
    for (const set of sets) for (const listener of set) listener()
  }
}
