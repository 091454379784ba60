import type { Clock } from '#kernel'
import { InStep, type Storage } from '#storage'
import type { Log } from '#telemetry'
import { ACCESS_TOKEN_SECONDS } from './provider/resource-server.ts'
import type { Sealed } from './sealed.ts'
import type { OauthStore } from './store.ts'

const TOPIC = 'oauth.grants'
/** Six times as long as an access token lives: whatever belonged to it has run out by itself then. */
export const KEPT_MS = 6 * ACCESS_TOKEN_SECONDS * 1_000

type Deps = {
  readonly storage: Storage
  readonly store: OauthStore
  readonly sealed: Pick<Sealed, 'refOf'>
  readonly clock: Clock
  readonly log: Log
}

/** Grants that ended, and clients that were removed, while tokens of theirs may still be about; on every replica. */
export class EndedGrants {
  readonly #deps: Deps
  readonly #inStep: InStep
  #refs: ReadonlySet<string> = new Set()
  /** Stored by this process, and not yet read again. */
  readonly #own = new Set<string>()
  readonly #adding = new Map<string, Promise<void>>()
  readonly #listeners = new Set<() => void>()

  private constructor(deps: Deps) {
    this.#deps = deps
    const { changes } = deps.storage
    const { log } = deps
    this.#inStep = new InStep({ changes, log, topic: TOPIC, what: 'which grants ended', read: () => this.#read() })
  }

  static async open(deps: Deps): Promise<EndedGrants> {
    const ended = new EndedGrants(deps)
    await ended.#inStep.reload()
    return ended
  }

  has(id: string): boolean {
    return this.hasRef(this.#deps.sealed.refOf(id))
  }

  /** For whoever asks often, and keeps what an id is stored as. */
  hasRef(ref: string): boolean {
    return this.#refs.has(ref) || this.#own.has(ref)
  }

  /** Resolves when it counts here and is stored; the other replicas hear of it within a second. */
  async add(...ids: readonly string[]): Promise<void> {
    const refs = ids.map((id) => this.#deps.sealed.refOf(id)).filter((ref) => !this.hasRef(ref))
    const fresh = refs.filter((ref) => !this.#adding.has(ref))
    if (fresh.length > 0) {
      // The library ends one grant several times in a row.
      const adding = this.#add(fresh).finally(() => fresh.forEach((ref) => this.#adding.delete(ref)))
      for (const ref of fresh) this.#adding.set(ref, adding)
    }
    await Promise.all(refs.flatMap((ref) => this.#adding.get(ref) ?? []))
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): Promise<void> {
    return this.#inStep.close()
  }

  async #add(refs: readonly string[]): Promise<void> {
    await this.#deps.store.endGrants(refs, this.#deps.clock.now())
    for (const ref of refs) this.#own.add(ref)
    this.#tell()
    await this.#inStep.announce()
  }

  async #read(): Promise<void> {
    const refs = new Set(await this.#deps.store.endedGrants(this.#deps.clock.now() - KEPT_MS))
    const isMore = [...refs].some((ref) => !this.hasRef(ref))
    this.#refs = refs
    for (const ref of this.#own) if (refs.has(ref)) this.#own.delete(ref)
    if (isMore) this.#tell()
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}
