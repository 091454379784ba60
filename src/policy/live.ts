import type { Clock } from '#kernel'
import type { Storage } from '#storage'
import type { Log } from '#telemetry'
import type { Rule } from './cedar/check.ts'
import type { Grant } from './grants/schema.ts'
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
  readonly rules: readonly Rule[]
  readonly label: string
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
  #stored: Stored = { grants: [], granted: [], rules: [], label: '' }
  #current: Snapshot
  #endsAt = Infinity
  #loading: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined
  #expiry: NodeJS.Timeout | undefined
  #isClosed = false
  readonly #unsubscribe: () => void

  private constructor(deps: LivePolicyDeps) {
    this.#deps = deps
    this.#current = this.#compile()
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
    if (this.#deps.clock.now() < this.#endsAt) return this.#current
    this.#current = this.#compile()
    setImmediate(() => this.#tell())
    return this.#current
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
    this.#current = this.#compile()
    this.#tell()
  }

  #tell(): void {
    if (this.#isClosed) return
    this.#waitForExpiry()
    this.#deps.onChange()
  }

  #compile(): Snapshot {
    const now = this.#deps.clock.now()
    const { grants, granted, rules, label } = this.#stored
    const valid = grants.filter(({ expiresAt }) => expiresAt === null || expiresAt > now)
    this.#endsAt = Math.min(Infinity, ...valid.flatMap(({ expiresAt }) => expiresAt ?? []))
    return buildSnapshot({ grants: valid, granted: new Set(granted), rules, label }, this.#castes)
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
