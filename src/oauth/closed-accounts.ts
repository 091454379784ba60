import type Provider from 'oidc-provider'
import type { Directory } from '#identity'
import type { Clock } from '#kernel'
import type { Log } from '#telemetry'
import { tellPrograms } from './endpoints/logout.ts'
import { openRecord } from './provider/adapter.ts'
import type { Sealed } from './sealed.ts'
import type { OauthStore, RecordRow } from './store.ts'

type Deps = {
  readonly store: OauthStore
  readonly sealed: Sealed
  readonly clock: Clock
  readonly log: Log
  readonly provider: () => Provider
  readonly directory: () => Directory
}

/** Changes of accounts come in crowds, from a provisioning service for one: they are looked at together. */
const GATHER_MS = 200
/** For so long, one replica is left alone to tell of a session; should it be killed, another one does. */
const TURN_MS = 60_000

/**
 * Whose account is switched off or removed, by whomever, is signed out of the programs that they signed in to from
 * here: those that asked to hear of it are told (OpenID Connect Back-Channel Logout 1.0), then the session is removed.
 * Looked for at each change of accounts and at each sweep, so that nothing is forgotten when a process ends between.
 */
export class ClosedAccounts {
  readonly #deps: Deps
  #waiting: NodeJS.Timeout | undefined
  #looking: Promise<void> = Promise.resolve()

  constructor(deps: Deps) {
    this.#deps = deps
  }

  /** Accounts have changed. */
  noticed(): void {
    this.#waiting ??= setTimeout(() => {
      this.#waiting = undefined
      void this.look()
    }, GATHER_MS).unref()
  }

  /** Ends the sessions of closed accounts. Never rejects: what fails is tried with the next sweep. */
  look(): Promise<void> {
    const { log } = this.#deps
    this.#looking = this.#looking
      .then(() => this.#endAll())
      .catch((err: unknown) => log.warn({ err }, 'sessions of closed accounts could not be ended'))
    return this.#looking
  }

  async close(): Promise<void> {
    clearTimeout(this.#waiting)
    await this.#looking
  }

  async #endAll(): Promise<void> {
    const { store, directory } = this.#deps
    const members = directory()
    const closed = (await store.sessions.accounts()).filter((id) => members.findByAccountId(id)?.isActive !== true)
    for (const accountId of closed) for (const row of await store.ofAccount('Session', accountId)) await this.#end(row)
  }

  async #end(row: RecordRow): Promise<void> {
    const { store, sealed, clock, provider, log } = this.#deps
    const now = clock.now()
    if (!(await store.sessions.claim(row.id, { now, before: now - TURN_MS }))) return
    const { jti: id } = openRecord(sealed, row)
    const session = id === undefined ? undefined : await provider().Session.find(id)
    if (session !== undefined) await tellPrograms(provider(), session, log)
    await store.remove('Session', row.id)
  }
}
