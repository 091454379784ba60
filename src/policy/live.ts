import type { Clock } from '#kernel'
import { InStep, type Storage } from '#storage'
import type { Log, Metrics } from '#telemetry'
import type { Grant } from './grants/schema.ts'
import { gatewaysNamedBy, type RuleBook } from './rules/book.ts'
import { buildSnapshot, type Castes, type Snapshot } from './snapshot.ts'

const TOPIC = 'policy'
/** Longer than this no timer is set; it only sets the next one. */
const MAX_TIMER_MS = 3_600_000

/** What is stored, as the database has it now. */
export type Stored = {
  /** Those that have ended as well. */
  readonly grants: readonly Grant[]
  readonly granted: readonly string[]
  readonly book: RuleBook
  /** Rules that are asked beside those in force. */
  readonly shadow: RuleBook | null
}

export type LivePolicyDeps = {
  readonly storage: Storage
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Pick<Metrics, 'policy'>
  readonly read: () => Promise<Stored>
  /** Told when what may be done can be other than before. */
  readonly onChange: () => void
}

/** The newest snapshot, built anew whenever any replica changes something, and when a grant ends. */
export class LivePolicy {
  readonly #deps: LivePolicyDeps
  readonly #inStep: InStep
  readonly #castes: Castes = new Map()
  #stored: Stored = { grants: [], granted: [], book: { rules: [], label: '' }, shadow: null }
  #current: Snapshot
  #shadow: Snapshot | null = null
  #endsAt = Infinity
  #expiry: NodeJS.Timeout | undefined
  #isClosed = false

  private constructor(deps: LivePolicyDeps) {
    this.#deps = deps
    this.#current = this.compile(this.#stored.book)
    const { log } = deps
    const { changes } = deps.storage
    this.#inStep = new InStep({ changes, log, topic: TOPIC, what: 'the policy', read: () => this.#load() })
  }

  /** Rejects when nothing can be read: a house that does not know its rules does not start. */
  static async open(deps: LivePolicyDeps): Promise<LivePolicy> {
    const live = new LivePolicy(deps)
    await live.reload()
    return live
  }

  /** As of this very moment: a grant that has ended is in it no more. */
  get current(): Snapshot {
    if (this.#deps.clock.now() >= this.#endsAt) {
      this.#compileAll()
      setImmediate(() => this.#tell())
    }
    return this.#current
  }

  /** The rules that are tried beside those in force, with the same grants; null when there are none. */
  get shadow(): Snapshot | null {
    return this.#shadow
  }

  /** What would be in force with these rules and the grants there are now. */
  compile(book: RuleBook): Snapshot {
    const { granted } = this.#stored
    return buildSnapshot(
      { ...book, grants: this.#valid(), granted: new Set([...granted, ...gatewaysNamedBy(book.rules)]) },
      this.#castes,
      this.#deps.metrics.policy,
    )
  }

  /** All grants, those that have ended as well. */
  get grants(): readonly Grant[] {
    return this.#stored.grants
  }

  /** All rules, those that are only tried as well. */
  get rules(): Snapshot['rules'] {
    return [...this.#current.rules, ...(this.#shadow?.rules ?? [])]
  }

  /** Resolves when what was stored before this moment is in force here. Many asking at once share one reading. */
  reload(): Promise<void> {
    return this.#inStep.reload()
  }

  /** Tells every replica of a change that is stored, this one first. If the store fails now, goes on trying. */
  announce(): Promise<void> {
    return this.#inStep.announce()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#expiry)
    await this.#inStep.close()
  }

  async #load(): Promise<void> {
    this.#stored = await this.#deps.read()
    this.#takeOver()
  }

  #takeOver(): void {
    this.#compileAll()
    this.#tell()
  }

  #tell(): void {
    if (this.#isClosed) return
    this.#waitForExpiry()
    this.#deps.onChange()
  }

  #compileAll(): void {
    const startedAt = performance.now()
    const { book, shadow } = this.#stored
    this.#endsAt = Math.min(Infinity, ...this.#valid().flatMap(({ expiresAt }) => expiresAt ?? []))
    this.#current = this.compile(book)
    this.#shadow = shadow && this.compile(shadow)
    this.#deps.metrics.policy.rebuilt((performance.now() - startedAt) / 1_000)
  }

  #valid(): Grant[] {
    const now = this.#deps.clock.now()
    return this.#stored.grants.filter(({ expiresAt }) => expiresAt === null || expiresAt > now)
  }

  /** So that clients hear of it: what is asked meanwhile is decided by the clock anyway. */
  #waitForExpiry(): void {
    clearTimeout(this.#expiry)
    if (this.#endsAt === Infinity || this.#isClosed) return
    const wait = Math.min(Math.max(0, this.#endsAt - this.#deps.clock.now()), MAX_TIMER_MS)
    const isDue = (): boolean => this.#deps.clock.now() >= this.#endsAt
    this.#expiry = setTimeout(() => (isDue() ? this.#takeOver() : this.#waitForExpiry()), wait + 1).unref()
  }
}
