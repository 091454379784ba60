import { Problem, type Clock } from '#kernel'
import type { Ledger, TimedEvent } from './ledger.ts'
import type { Payload } from './payload.ts'
import { OVERLOADED, UNAVAILABLE } from './problems.ts'
import type { AuditEvent } from './schema.ts'

type Waiting = TimedEvent & { resolve(): void; reject(error: Problem): void }

export type RecorderOptions = {
  readonly maxWaiting: number
  readonly maxBatch: number
  /** Of payloads: how much may wait, and how much one commit takes. */
  readonly maxWaitingChars: number
  readonly maxBatchChars: number
}

/** One batch that became durable, and how long that took. */
export type Commit = { readonly rows: number; readonly seconds: number }

/** The longest that records wait for others before their commit begins. */
const GATHER_MS = 1

/** Group commit: while one batch is written, the next one gathers. */
export class Recorder {
  readonly #ledger: Ledger
  readonly #clock: Clock
  readonly #options: RecorderOptions
  readonly #onStored: (commit: Commit) => void
  #waiting: Waiting[] = []
  #waitingChars = 0
  #isWriting = false
  #isClosed = false
  #idle: Promise<void> = Promise.resolve()

  constructor(deps: { ledger: Ledger; clock: Clock; options: RecorderOptions; onStored: (commit: Commit) => void }) {
    this.#ledger = deps.ledger
    this.#clock = deps.clock
    this.#options = deps.options
    this.#onStored = deps.onStored
  }

  get waiting(): number {
    return this.#waiting.length
  }

  record(event: AuditEvent, payload?: Payload): Promise<void> {
    if (this.#isClosed) return Promise.reject(new Problem(UNAVAILABLE, 'The house is stopping; try again in a moment.'))
    const chars = this.#waitingChars + (payload?.text.length ?? 0)
    if (this.#waiting.length >= this.#options.maxWaiting || chars > this.#options.maxWaitingChars)
      return Promise.reject(overloaded(this.#waiting.length))
    this.#waitingChars = chars
    const at = this.#clock.now()
    return new Promise((resolve, reject) => {
      this.#waiting.push({ at, event, payload, resolve, reject })
      if (!this.#isWriting) this.#idle = this.#write()
    })
  }

  /** Accepts nothing more; resolves when all that was accepted is written or refused. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#idle
  }

  async #write(): Promise<void> {
    this.#isWriting = true
    while (this.#waiting.length > 0) {
      await this.#gather()
      const batch = this.#waiting.splice(0, this.#nextBatch())
      await this.#commit(batch)
    }
    this.#isWriting = false
  }

  /** Lets the event loop turn as long as each turn brings more records: all that arrive together share a commit. */
  async #gather(): Promise<void> {
    const until = performance.now() + GATHER_MS
    for (let before = -1; this.#waiting.length > before && performance.now() < until;) {
      before = this.#waiting.length
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /** How many share the next commit: a few large payloads fill it as well as many records. */
  #nextBatch(): number {
    const { maxBatch, maxBatchChars } = this.#options
    let chars = 0
    let count = 0
    for (const { payload } of this.#waiting.slice(0, maxBatch)) {
      const next = chars + (payload?.text.length ?? 0)
      if (count > 0 && next > maxBatchChars) break
      chars = next
      count += 1
    }
    this.#waitingChars -= chars
    return count
  }

  async #commit(batch: readonly Waiting[]): Promise<void> {
    const startedAt = performance.now()
    try {
      await this.#ledger.append(batch)
    } catch (cause) {
      for (const waiting of batch) waiting.reject(unavailable(cause))
      return
    }
    for (const waiting of batch) waiting.resolve()
    this.#onStored({ rows: batch.length, seconds: (performance.now() - startedAt) / 1_000 })
  }
}

function overloaded(count: number): Problem {
  return new Problem(OVERLOADED, `${count} records wait to be stored, so nothing more is done; try again in a moment.`)
}

function unavailable(cause: unknown): Problem {
  return new Problem(
    UNAVAILABLE,
    'What cannot be recorded is not done: the audit trail cannot be stored now. Try again in a moment.',
    {
      cause,
    },
  )
}
