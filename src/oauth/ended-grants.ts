import type { Clock } from '#kernel'
import { type Storage } from '#storage'
import type { Log } from '#telemetry'
import type { OauthStore } from './store.ts'

const TOPIC = 'oauth.grants'
const RETRY_MS = 1_000

type Deps = { storage: Storage; store: OauthStore; clock: Clock; log: Log }

/** Grants that ended while tokens of theirs may still be about, on every replica. */
export class EndedGrants {
  readonly #deps: Deps
  #ids: ReadonlySet<string> = new Set()
  readonly #listeners = new Set<() => void>()
  readonly #unsubscribe: () => void
  #retry: NodeJS.Timeout | undefined
  #isClosed = false

  private constructor(deps: Deps) {
    this.#deps = deps
    this.#unsubscribe = deps.storage.changes.subscribe(TOPIC, () => void this.#reloadUntilDone())
  }

  static async open(deps: Deps): Promise<EndedGrants> {
    const ended = new EndedGrants(deps)
    await ended.#reload()
    return ended
  }

  has(grantId: string): boolean {
    return this.#ids.has(grantId)
  }

  /** Resolves when it counts here and is stored; the other replicas hear of it within a second. */
  async add(...grantIds: readonly string[]): Promise<void> {
    await this.#deps.store.endGrants(grantIds, this.#deps.clock.now())
    this.#ids = new Set([...this.#ids, ...grantIds])
    this.#tell()
    await this.#deps.storage.changes.publish(TOPIC, '')
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#retry)
    this.#unsubscribe()
  }

  async #reload(): Promise<void> {
    const ids = new Set(await this.#deps.store.endedGrants())
    const isMore = [...ids].some((id) => !this.#ids.has(id))
    this.#ids = ids
    if (isMore) this.#tell()
  }

  async #reloadUntilDone(): Promise<void> {
    clearTimeout(this.#retry)
    try {
      await this.#reload()
    } catch (err) {
      if (this.#isClosed) return
      this.#deps.log.error({ err }, 'revoked grants could not be read again; it is tried until it is done')
      this.#retry = setTimeout(() => void this.#reloadUntilDone(), RETRY_MS).unref()
    }
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}
