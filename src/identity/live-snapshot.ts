import type { Clock } from '#kernel'
import { InStep, type Storage } from '#storage'
import type { Log } from '#telemetry'
import { buildDirectory } from './accounts/directory.ts'
import type { AccountStore } from './accounts/store.ts'
import { buildKeyring, type HashedKey, type Keyring, type KeyringDeps } from './keyring.ts'
import type { Directory, Member } from './principal.ts'
import type { IdentityStore } from './store.ts'

const TOPIC = 'identity.keys'

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
  readonly #inStep: InStep
  #current: IdentitySnapshot

  private constructor(deps: LiveSnapshotDeps) {
    this.#deps = deps
    this.#current = this.#build([], [])
    const { log } = deps
    const { changes } = deps.storage
    this.#inStep = new InStep({ changes, log, topic: TOPIC, what: 'accounts and keys', read: () => this.#load() })
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
    return this.#inStep.reload()
  }

  /** Tells every replica of a change that is stored, this one first. If the store fails now, goes on trying. */
  announce(id: string): Promise<void> {
    return this.#inStep.announce(id)
  }

  close(): Promise<void> {
    return this.#inStep.close()
  }

  async #load(): Promise<void> {
    const keys = await this.#deps.store.loadAll(this.#deps.clock.now() - REMEMBERED_MS)
    // Accounts last: one that was made inactive while the keys were read is inactive.
    const members = await this.#deps.accounts.loadMembers()
    this.#current = this.#build(members, keys)
    this.#deps.onChange()
  }

  #build(members: readonly Member[], keys: readonly HashedKey[]): IdentitySnapshot {
    const directory = buildDirectory(members)
    const { clock, onUse } = this.#deps
    return { directory, keyring: buildKeyring(keys, { directory, onUse, now: () => clock.now() }) }
  }
}
