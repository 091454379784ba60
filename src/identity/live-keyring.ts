import type { Clock } from '#kernel'
import type { Storage } from '#storage'
import type { Log } from '#telemetry'
import { buildKeyring, type Keyring, type KeyringDeps } from './keyring.ts'
import type { IdentityStore } from './store.ts'

const TOPIC = 'identity.keys'

const RETRY_MS = 1_000
/** For so long, a key that has ended is told apart from one that never was. */
const REMEMBERED_MS = 90 * 86_400_000

export type LiveKeyringDeps = {
  readonly storage: Storage
  readonly store: IdentityStore
  readonly clock: Clock
  readonly log: Log
  readonly onUse: KeyringDeps['onUse']
  /** Told when the keys in use are others than before. */
  readonly onChange: () => void
}

/** The newest keyring, built anew whenever any replica changes a key. */
export class LiveKeyring {
  readonly #deps: LiveKeyringDeps
  #current: Keyring
  #loading: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined
  #isClosed = false
  readonly #unsubscribe: () => void

  private constructor(deps: LiveKeyringDeps) {
    this.#deps = deps
    this.#current = buildKeyring([], this.#keyringDeps())
    this.#unsubscribe = deps.storage.changes.subscribe(TOPIC, () => this.#reloadUntilDone())
  }

  /** Rejects when the keys cannot be read. */
  static async open(deps: LiveKeyringDeps): Promise<LiveKeyring> {
    const live = new LiveKeyring(deps)
    await live.reload()
    return live
  }

  get current(): Keyring {
    return this.#current
  }

  /** Resolves when a keyring read after this moment is in use. Many asking at once share one reading. */
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
  async announce(keyId: string): Promise<void> {
    try {
      await this.reload()
      await this.#deps.storage.changes.publish(TOPIC, keyId)
    } catch (error) {
      if (this.#isClosed) return
      this.#deps.log.error(
        { err: error, key: keyId },
        'the change of an API key is stored, but not yet in force everywhere',
      )
      setTimeout(() => void this.announce(keyId), RETRY_MS).unref()
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#unsubscribe()
    clearTimeout(this.#retry)
    await this.#next?.catch(() => {})
    await this.#loading
  }

  async #load(): Promise<void> {
    const keys = await this.#deps.store.loadAll(this.#deps.clock.now() - REMEMBERED_MS)
    this.#current = buildKeyring(keys, this.#keyringDeps())
    this.#deps.onChange()
  }

  /** A replica that misses a revocation is a hole, so it tries until it has read it. */
  #reloadUntilDone(): void {
    clearTimeout(this.#retry)
    this.reload().catch((error: unknown) => {
      if (this.#isClosed) return
      this.#deps.log.error(
        { err: error },
        'the API keys could not be read again; the old ones stay in use until they are',
      )
      this.#retry = setTimeout(() => this.#reloadUntilDone(), RETRY_MS).unref()
    })
  }

  #keyringDeps(): KeyringDeps {
    return { now: () => this.#deps.clock.now(), onUse: this.#deps.onUse }
  }
}
