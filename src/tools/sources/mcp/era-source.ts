import { Problem, type Clock, type JsonObject } from '#kernel'
import { CANCELLED } from '../../problems.ts'
import type {
  CallerPort,
  CallerSession,
  FollowedTask,
  Offer,
  Reply,
  ResourceSubscription,
  Source,
  SourceCall,
  SourceUsage,
} from '../../source.ts'
import type { Adapter } from './adapter.ts'
import type { Verdict } from './era.ts'
import { untilAborted } from './legacy/until-aborted.ts'
import { brokenReply } from './reasons.ts'
import { WrongEra } from './wrong-era.ts'

export type EraSourceDeps = {
  readonly server: string
  readonly clock: Clock
  detect(signal: AbortSignal): Promise<Verdict>
  adapterOf(era: Verdict['era']): Adapter
  /** The server turned out to be of another era than before. */
  changed(): void
  close(): Promise<void>
}

/** A verdict against the newest era is looked at again after this time: servers are upgraded in place. */
const VERDICT_MS = 3_600_000
/** A search that runs when the source is closed may end in good order for so long: it may have begun a session. */
const SEARCH_MS = 1_000
const NOTHING: SourceUsage = { sessions: 0, parkedCalls: 0, processes: 0, subscriptions: 0 }

type Found = { readonly adapter: Adapter; readonly verdict: Verdict; readonly at: number }

/** A server of whichever era it turns out to be and may turn into, up or down, without anybody's help. */
export class EraSource implements Source {
  readonly #deps: EraSourceDeps
  #found: Found | undefined
  #finding: Promise<Found> | undefined
  readonly #closing = new AbortController()
  #isClosed = false

  constructor(deps: EraSourceDeps) {
    this.#deps = deps
  }

  /** When the time is over that is said at once: ending a process that hangs may take longer. */
  sync(signal: AbortSignal): Promise<Offer> {
    return untilAborted(this.#sync(signal), signal, this.#deps.server)
  }

  async #sync(signal: AbortSignal): Promise<Offer> {
    if (this.#isDue()) await this.#find()
    return this.#inItsEra((adapter) => adapter.sync(signal))
  }

  call(call: SourceCall, port: CallerPort): Promise<Reply> {
    return this.#inItsEra((adapter) => adapter.call(call, port))
  }

  subscribe(subscription: ResourceSubscription): Promise<() => Promise<void>> {
    return this.#inItsEra((adapter) => adapter.subscribe(subscription))
  }

  followTask(task: FollowedTask): Promise<() => Promise<void>> {
    return this.#inItsEra((adapter) => adapter.followTask(task))
  }

  async announce(session: CallerSession, method: string, params: JsonObject): Promise<void> {
    await this.#found?.adapter.announce(session, method, params)
  }

  async endSession(sessionKey: string): Promise<void> {
    await this.#found?.adapter.endSession(sessionKey)
  }

  usage(): SourceUsage {
    return this.#found?.adapter.usage() ?? NOTHING
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#searchEnds()
    await this.#found?.adapter.close()
    await this.#deps.close()
  }

  /** What the search opened it also closes, for which it needs the connections; one that hangs is broken off. */
  async #searchEnds(): Promise<void> {
    const late = setTimeout(() => this.#closing.abort(closed(this.#deps.server)), SEARCH_MS)
    await this.#finding?.catch(() => undefined)
    clearTimeout(late)
  }

  /** When the server no longer fits its era, the era is looked for again, and what was not executed is done once more. */
  async #inItsEra<Result>(use: (adapter: Adapter) => Promise<Result>): Promise<Result> {
    const { adapter } = this.#found ?? (await this.#find())
    try {
      return await use(adapter)
    } catch (error) {
      if (!(error instanceof WrongEra)) throw error
    }
    const isStillThat = this.#found?.adapter === adapter
    const again = isStillThat ? await this.#find() : (this.#found ?? (await this.#find()))
    try {
      return await use(again.adapter)
    } catch (error) {
      if (!(error instanceof WrongEra)) throw error
      throw brokenReply(this.#deps.server, 'answers like no protocol era that we know')
    }
  }

  #isDue(): boolean {
    if (this.#found === undefined || this.#found.verdict.era === 'modern') return false
    return !this.#found.verdict.isSure || this.#deps.clock.now() - this.#found.at > VERDICT_MS
  }

  /** One search at a time; whoever asks meanwhile gets its result. */
  #find(): Promise<Found> {
    if (this.#isClosed) return Promise.reject(closed(this.#deps.server))
    this.#finding ??= this.#findAnew().finally(() => {
      this.#finding = undefined
    })
    return this.#finding
  }

  async #findAnew(): Promise<Found> {
    const verdict = await this.#deps.detect(this.#closing.signal)
    if (this.#isClosed) throw closed(this.#deps.server)
    const before = this.#found
    const isSame = before?.verdict.era === verdict.era
    const adapter = isSame && before !== undefined ? before.adapter : this.#deps.adapterOf(verdict.era)
    this.#found = { adapter, verdict, at: this.#deps.clock.now() }
    if (before !== undefined && !isSame) {
      this.#deps.changed()
      await before.adapter.close()
    }
    return this.#found
  }
}

function closed(server: string): Problem {
  return new Problem(CANCELLED, `server "${server}" is no longer used here`)
}
