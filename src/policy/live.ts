import type { Clock } from '#kernel'
import type { Storage } from '#storage'
import type { Log } from '#telemetry'
import type { Grant } from './grants/schema.ts'
import { gatewaysNamedBy, type RuleBook } from './rules/book.ts'
import { buildSnapshot, type Castes, type Snapshot } from './snapshot.ts'

const TOPIC = 'policy'
const RETRY_MS = 1_000
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
  readonly read: () => Promise<Stored>
  /** Told when what may be done can be other than before. */
  readonly onChange: () => void
}

/** The newest snapshot, built anew whenever any replica changes something, and when a grant ends. */
export class LivePolicy {
  readonly #deps: LivePolicyDeps
  readonly #castes: Castes = new Map()
  #stored: Stored = { grants: [], granted: [], book: { rules: [], label: '' }, shadow: null }
  #current: Snapshot
  #shadow: Snapshot | null = null
  #endsAt = Infinity
  #loading: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined
  #expiry: NodeJS.Timeout | undefined
  #isClosed = false
  readonly #unsubscribe: () => void

  private constructor(deps: LivePolicyDeps) {
    this.#deps = deps
    this.#current = this.compile(this.#stored.book)
    this.#unsubscribe = deps.storage.changes.subscribe(TOPIC, () => this.#reloadUntilDone())
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
    )
  }

  /** All grants, those that have ended as well. */
  get grants(): readonly Grant[] {
    return this.#stored.grants
  }

  /** Resolves when what was stored before this moment is in force here. Many asking at once share one reading. */
  reload(): Promise<void> {
    this.#next ??= this.#loading.then(() => {
      this.#next = undefined
      const load = this.#load()
      this.#loading = load.catch(() => {})
      return load
    })
    return this.#next
  }

  /** Tells every replica of a change that is stored, this one first. If the store fails now, goes on trying. */
  async announce(): Promise<void> {
    try {
      await this.reload()
      await this.#deps.storage.changes.publish(TOPIC)
    } catch (error) {
      if (this.#isClosed) return
      this.#deps.log.error({ err: error }, 'a change of the policy is stored, but not yet in force everywhere')
      setTimeout(() => void this.announce(), RETRY_MS).unref()
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#unsubscribe()
    clearTimeout(this.#retry)
    clearTimeout(this.#expiry)
    await this.#next?.catch(() => {})
    await this.#loading
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
    const { book, shadow } = this.#stored
    this.#endsAt = Math.min(Infinity, ...this.#valid().flatMap(({ expiresAt }) => expiresAt ?? []))
    this.#current = this.compile(book)
    this.#shadow = shadow && this.compile(shadow)
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

  /** A replica that misses a change is a hole, so it tries until it has read it. */
  #reloadUntilDone(): void {
    clearTimeout(this.#retry)
    this.reload().catch((error: unknown) => {
      if (this.#isClosed) return
      this.#deps.log.error({ err: error }, 'the policy could not be read again; the old one stays in force until it is')
      this.#retry = setTimeout(() => this.#reloadUntilDone(), RETRY_MS).unref()
    })
  }
}
