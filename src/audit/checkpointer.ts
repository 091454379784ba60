import type { Clock } from '#kernel'
import type { Log } from '#telemetry'
import { appendToFile, signCheckpoint } from './checkpoint.ts'
import type { Head } from './seal.ts'
import type { SigningKey } from './signing-key.ts'
import type { AuditStore } from './store.ts'

export type CheckpointerDeps = {
  readonly store: AuditStore
  readonly key: SigningKey
  readonly clock: Clock
  readonly log: Log
  readonly dataDir: string
  readonly everyRecords: number
  readonly everyMs: number
}

/** The end of a chain as it is now; `isLast`: nothing will come after it. */
type End = { readonly head: Head; readonly isLast: boolean }

/** Decides when the end of the chain is signed: after so many records, or so long after the first unsigned one. */
export class Checkpointer {
  readonly #deps: CheckpointerDeps
  #head: Head | undefined
  #signed: Head | undefined
  #timer: NodeJS.Timeout | undefined
  #work: Promise<void> = Promise.resolve()

  constructor(deps: CheckpointerDeps) {
    this.#deps = deps
  }

  /** `head` is in the store. The first one of a chain is signed at once. */
  note(head: Head): void {
    this.#head = head
    const isNewChain = this.#signed?.chain !== head.chain
    if (isNewChain || head.seq - (this.#signed?.seq ?? 0) >= this.#deps.everyRecords)
      this.#sign({ head, isLast: false })
    else this.#timer ??= setTimeout(() => this.#signLatest(), this.#deps.everyMs).unref()
  }

  /** Signs the very end of the chain; resolves when all signatures are written or given up. */
  async close(head: Head | undefined): Promise<void> {
    if (head) this.#sign({ head, isLast: true })
    clearTimeout(this.#timer)
    await this.#work
  }

  /** Resolves when the signatures begun so far are written. */
  settled(): Promise<void> {
    return this.#work
  }

  #signLatest(): void {
    this.#timer = undefined
    if (this.#head && this.#head.seq !== this.#signed?.seq) this.#sign({ head: this.#head, isLast: false })
  }

  #sign(end: End): void {
    this.#signed = end.head
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#work = this.#work.then(() => this.#write(end))
  }

  /** Two places, each tried whatever became of the other; a missed one is made up for by the next checkpoint. */
  async #write({ head, isLast }: End): Promise<void> {
    const { key, clock, store, dataDir, log } = this.#deps
    const point = signCheckpoint(key, { head, at: clock.now(), isLast })
    const outcomes = await Promise.allSettled([appendToFile(dataDir, point), store.addCheckpoint(point)])
    for (const outcome of outcomes)
      if (outcome.status === 'rejected')
        log.error({ err: outcome.reason, chain: head.chain, seq: head.seq }, 'could not keep an audit checkpoint')
  }
}
