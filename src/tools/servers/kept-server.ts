import { createBreaker, type Breaker, type BreakerOptions } from '#http'
import type { Clock } from '#kernel'
import type { Log } from '#telemetry'
import type { ServerConfig } from '../config.ts'
import { adminReasonOf, reasonOf } from './reason.ts'
import { createSlots, type Slots } from './slots.ts'
import type { Offer, Source, SourceEvents } from '../source.ts'

/**
 * Keeps one server known: lists it at the start, after every change it announces and every few minutes, tries again
 * with growing pauses when it fails, and always can say in words how it is and when it will be asked again.
 */
export type KeptServer = {
  readonly config: ServerConfig
  readonly trusted: boolean
  readonly source: Source
  readonly breaker: Breaker
  readonly slots: Slots
  health(): ServerHealth
  /** `health().reason` with what only admins may read. */
  adminReason(): string
  /** A call got no answer: looks at once whether the server still lists its tools. */
  noticeOutage(): void
  /** Resolves when the first listing has ended, well or not. */
  readonly firstListing: Promise<void>
  /** Lists now (`server check`); resolves when that is done. */
  checkNow(): Promise<ServerHealth>
  /** True once it was removed, switched off or changed: this one is on its way out. */
  readonly isClosing: boolean
  close(): Promise<void>
}

export type HealthState = 'starting' | 'healthy' | 'degraded' | 'unreachable' | 'needs_consent'
export type ServerHealth = {
  readonly state: HealthState
  /** In words; empty when healthy. */
  readonly reason: string
  /** Milliseconds since 1970. */
  readonly since: number
  readonly checkedAt: number | null
  /** The time of the next try, when one is planned because of trouble. */
  readonly retryAt: number | null
  readonly era: string | null
  readonly tools: number
}

export type KeeperDeps = {
  readonly clock: Clock
  readonly log: Log
  /** Stores what was offered; called before the health changes, so that a healthy server is always in the lists. */
  readonly onOffer: (offer: Offer) => Promise<void>
  readonly onHealth: (health: ServerHealth) => void
  readonly timing?: Partial<KeeperTiming>
}
export type KeeperTiming = {
  relistMs: number
  firstRetryMs: number
  maxRetryMs: number
  listTimeoutMs: number
  debounceMs: number
  breaker: BreakerOptions
}
/** Timing of all servers of a house, where it is not the usual one. */
export type HouseTiming = Partial<KeeperTiming>
const TIMING: KeeperTiming = {
  relistMs: 300_000,
  firstRetryMs: 1_000,
  maxRetryMs: 60_000,
  listTimeoutMs: 20_000,
  debounceMs: 50,
  breaker: { threshold: 5, firstRestMs: 5_000, maxRestMs: 60_000 },
}

/** Starts keeping a server; `makeSource` gets the events to which the keeper listens. */
export function keepServer(
  server: { config: ServerConfig; trusted: boolean; makeSource: (events: SourceEvents) => Source },
  deps: KeeperDeps,
): KeptServer {
  const keeper = new Keeper(server, deps)
  keeper.start()
  return keeper
}

class Keeper implements KeptServer {
  readonly config: ServerConfig
  readonly trusted: boolean
  readonly source: Source
  readonly breaker: Breaker
  readonly slots: Slots
  readonly firstListing: Promise<void>
  readonly #deps: KeeperDeps
  readonly #timing: KeeperTiming
  readonly #stop = new AbortController()
  #health: ServerHealth
  #adminReason = ''
  #timer: NodeJS.Timeout | undefined
  #failures = 0
  #running: Promise<void> | null = null
  #again = false
  #firstDone: () => void = () => {}

  constructor(
    server: { config: ServerConfig; trusted: boolean; makeSource: (events: SourceEvents) => Source },
    deps: KeeperDeps,
  ) {
    this.config = server.config
    this.trusted = server.trusted
    this.#deps = deps
    this.#timing = { ...TIMING, ...deps.timing }
    this.firstListing = new Promise((resolve) => (this.#firstDone = resolve))
    this.breaker = createBreaker(deps.clock, this.#timing.breaker)
    const max = server.config.max_concurrency
    this.slots = createSlots({ server: server.config.name, max, maxWaiting: max, waitMs: 2_000 })
    this.source = server.makeSource({
      listChanged: () => this.#listSoon(),
      connection: (state, reason) => this.#noticed(state, reason),
    })
    const since = deps.clock.now()
    this.#health = {
      state: 'starting',
      reason: 'it has not answered yet',
      since,
      checkedAt: null,
      retryAt: since + this.#listTimeoutMs + this.#timing.firstRetryMs,
      era: null,
      tools: 0,
    }
  }

  start(): void {
    void this.#list()
  }

  /** A server that lists its tools but leaves calls unanswered is not healthy. */
  health(): ServerHealth {
    const { retryAt } = this.breaker
    if (this.#health.state !== 'healthy' || retryAt === null) return this.#health
    const reason = 'it lists its tools, but left several calls in a row without an answer'
    return { ...this.#health, state: 'degraded', reason, retryAt }
  }

  adminReason(): string {
    const { state, reason } = this.health()
    return state === this.#health.state && this.#adminReason !== '' ? this.#adminReason : reason
  }

  noticeOutage(): void {
    if (this.#health.state === 'healthy' || this.#health.state === 'degraded') this.#listSoon()
  }

  async checkNow(): Promise<ServerHealth> {
    if (this.#running) await this.#running
    await this.#list()
    return this.#health
  }

  get isClosing(): boolean {
    return this.#stop.signal.aborted
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error('the server is being closed'))
    clearTimeout(this.#timer)
    this.#firstDone()
    await this.#running
    await this.source.close()
  }

  /** A command may have to fetch its program first: its start does not count. */
  get #listTimeoutMs(): number {
    const startMs = this.config.transport === 'stdio' ? this.config.start_timeout_ms : 0
    return startMs + this.#timing.listTimeoutMs
  }

  /** One listing at a time; a change that is announced meanwhile makes one more afterwards. */
  #list(): Promise<void> {
    if (this.#running) {
      this.#again = true
      return this.#running
    }
    clearTimeout(this.#timer)
    this.#running = this.#listOnce().finally(() => {
      this.#running = null
      this.#firstDone()
      if (this.#stop.signal.aborted) return
      if (this.#again) this.#listSoon()
      this.#again = false
    })
    return this.#running
  }

  #listSoon(): void {
    if (this.#running) {
      this.#again = true
      return
    }
    this.#plan(this.#timing.debounceMs)
  }

  async #listOnce(): Promise<void> {
    const timeout = AbortSignal.timeout(this.#listTimeoutMs)
    try {
      const offer = await this.source.sync(AbortSignal.any([this.#stop.signal, timeout]))
      if (this.#stop.signal.aborted) return
      if (await this.#isStored(offer)) this.#succeeded(offer)
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#failed(error, timeout.aborted)
    }
  }

  /** A store that is down is no fault of the server: calls to it go on, and its list is stored at the next look. */
  async #isStored(offer: Offer): Promise<boolean> {
    try {
      await this.#deps.onOffer(offer)
      return true
    } catch (error) {
      if (this.#stop.signal.aborted) return false
      this.#deps.log.error({ err: error, server: this.config.name }, 'what a server offers could not be stored')
      this.#plan(this.#timing.firstRetryMs)
      const retryAt = this.#deps.clock.now() + this.#timing.firstRetryMs
      this.#set({ state: 'degraded', reason: 'it answers, but what it offers could not be stored', retryAt })
      return false
    }
  }

  #succeeded(offer: Offer): void {
    // Back from an outage. A server that lists well and hangs in calls closes its circuit by a call only.
    if (this.#failures > 0) this.breaker.succeeded()
    this.#failures = 0
    const isEmpty = offer.tools.length === 0
    const reason = isEmpty ? 'it answers but offers no tools' : ''
    const delay = isEmpty ? Math.min(this.#timing.relistMs, this.#timing.maxRetryMs) : this.#timing.relistMs
    this.#plan(delay)
    this.#set({
      state: isEmpty ? 'degraded' : 'healthy',
      reason,
      retryAt: isEmpty ? this.#deps.clock.now() + delay : null,
      era: offer.era,
      tools: offer.tools.length,
    })
  }

  #failed(error: unknown, timedOut: boolean): void {
    this.#failures += 1
    this.breaker.foundDown()
    const pause = Math.min(this.#timing.firstRetryMs * 2 ** (this.#failures - 1), this.#timing.maxRetryMs)
    const delay = Math.round(pause * (0.75 + Math.random() / 2))
    this.#plan(delay)
    const said = reasonOf(error)
    const reason = timedOut ? `it did not list its tools within ${this.#listTimeoutMs / 1000} s` : said.reason
    this.#set({
      state: said.state,
      reason,
      retryAt: this.#deps.clock.now() + delay,
    })
    if (!timedOut) this.#adminReason = adminReasonOf(error)
  }

  #noticed(state: 'up' | 'down', reason: string): void {
    if (this.#stop.signal.aborted) return
    if (state === 'up') return this.#listSoon()
    if (this.#health.state === 'healthy' || this.#health.state === 'degraded') {
      this.#set({ state: 'unreachable', reason, retryAt: this.#deps.clock.now() + this.#timing.firstRetryMs })
      this.#plan(this.#timing.firstRetryMs)
    }
  }

  #plan(delayMs: number): void {
    clearTimeout(this.#timer)
    if (this.#stop.signal.aborted) return
    this.#timer = setTimeout(() => void this.#list(), delayMs)
    this.#timer.unref()
  }

  #set(next: Partial<ServerHealth> & Pick<ServerHealth, 'state' | 'reason'>): void {
    const now = this.#deps.clock.now()
    const before = this.#health
    this.#adminReason = ''
    const isSame = before.state === next.state && before.reason === next.reason
    this.#health = { ...before, ...next, since: before.state === next.state ? before.since : now, checkedAt: now }
    if (!isSame)
      this.#deps.log.info({ server: this.config.name, state: next.state, reason: next.reason }, 'server state changed')
    this.#deps.onHealth(this.#health)
  }
}
