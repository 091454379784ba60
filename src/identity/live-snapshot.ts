import type { Clock } from '#kernel'
import type { Storage } from '#storage'
import type { Log } from '#telemetry'
import { buildDirectory } from './accounts/directory.ts'
import type { AccountStore } from './accounts/store.ts'
import { buildKeyring, type HashedKey, type Keyring, type KeyringDeps } from './keyring.ts'
import type { Directory, Member } from './principal.ts'
import type { IdentityStore } from './store.ts'

const TOPIC = 'identity.keys'

const RETRY_MS = 1_000
/** For so long, a key that has ended is told apart from one that never was. */
const REMEMBERED_MS = 90 * 86_400_000

/** All accounts and all keys as they were at one moment. It never changes; a change makes the next one. */
export type IdentitySnapshot = { readonly directory: Directory; readonly keyring: Keyring }

export type LiveSnapshotDeps = {
  readonly storage: Storage
  readonly store: Pick<IdentityStore, 'loadAll'>
  readonly accounts: Pick<AccountStore, 'loadMembers'>
  readonly clock: Clock
  readonly log: Log
  readonly onUse: KeyringDeps['onUse']
  /** Told when the accounts and keys in use are others than before. */
  readonly onChange: () => void
}

/** The newest accounts and keys, read anew whenever any replica changes one. */
export class LiveSnapshot {
  readonly #deps: LiveSnapshotDeps
  #current: IdentitySnapshot
  #loading: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined
  #isClosed = false
  readonly #unsubscribe: () => void

  private constructor(deps: LiveSnapshotDeps) {
    this.#deps = deps
    this.#current = this.#build([], [])
    this.#unsubscribe = deps.storage.changes.subscribe(TOPIC, () => this.#reloadUntilDone())
  }

  /** Rejects when the store is down. */
  static async open(deps: LiveSnapshotDeps): Promise<LiveSnapshot> {
    const live = new LiveSnapshot(deps)
    await live.reload()
    return live
  }

  get current(): IdentitySnapshot {
    return this.#current
  }

  /** Resolves when what was read after this moment is in use. Many asking at once share one reading. */
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
  async announce(id: string): Promise<void> {
    try {
      await this.reload()
      await this.#deps.storage.changes.publish(TOPIC, id)
    } catch (error) {
      if (this.#isClosed) return
      this.#deps.log.error(
        { err: error, changed: id },
        'the change of an account or a key is stored, but not yet in force everywhere',
      )
      setTimeout(() => void this.announce(id), RETRY_MS).unref()
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
    // Accounts last: one that was made inactive while the keys were read is inactive.
    const members = await this.#deps.accounts.loadMembers()
    this.#current = this.#build(members, keys)
    this.#deps.onChange()
  }

  /** A replica that misses a revocation is a hole, so it tries until it has read it. */
  #reloadUntilDone(): void {
    clearTimeout(this.#retry)
    this.reload().catch((error: unknown) => {
      if (this.#isClosed) return
      this.#deps.log.error(
        { err: error },
        'accounts and keys could not be read again; the old ones stay in use until they are',
      )
      this.#retry = setTimeout(() => this.#reloadUntilDone(), RETRY_MS).unref()
    })
  }

  #build(members: readonly Member[], keys: readonly HashedKey[]): IdentitySnapshot {
    const directory = buildDirectory(members)
    const { clock, onUse } = this.#deps
    return { directory, keyring: buildKeyring(keys, { directory, onUse, now: () => clock.now() }) }
  }
}
