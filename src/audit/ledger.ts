import { newId, type Clock } from '#kernel'
import { isDuplicate } from '#storage'
import type { Log } from '#telemetry'
import type { Checkpointer } from './checkpointer.ts'
import { withinDeadline } from './deadline.ts'
import type { AuditEvent } from './schema.ts'
import type { Payload, PayloadRow, PayloadSeal } from './payload.ts'
import { GENESIS, sealRecord, type Head, type Sealed } from './seal.ts'
import type { Spool, Spooled } from './spool.ts'
import type { AuditStore } from './store.ts'

export type TimedEvent = { readonly at: number; readonly event: AuditEvent; readonly payload?: Payload | undefined }

export type LedgerDeps = {
  readonly store: AuditStore
  readonly spool: Spool
  readonly payloadSeal: PayloadSeal
  readonly checkpointer: Checkpointer
  readonly clock: Clock
  readonly log: Log
  readonly replica: string
  readonly signingKeyId: string
  readonly onStoreFailure: 'refuse' | 'spool'
  readonly storeTimeoutMs: number
  readonly retryMs: number
}

/** Hashes by place in the chain, of a batch of which nobody knows whether it arrived. */
type Attempted = ReadonlyMap<number, string>

/**
 * `unsure`: the store failed, and the last batch may or may not have arrived. `spool`: records go to disk until the
 * store is back. `broken`: the disk failed as well, so nothing is accepted until both have been looked at.
 */
type State =
  | { readonly kind: 'store' }
  | { readonly kind: 'unsure'; readonly attempted: Attempted }
  | { readonly kind: 'spool' }
  | { readonly kind: 'broken'; readonly attempted: Attempted }

const NOTHING_ATTEMPTED: Attempted = new Map()
const SMALL_SPOOL_BYTES = 500_000
const DRAIN_TIMEOUT_MS = 30_000

/**
 * Writes one chain. Each process has a chain of its own, whose first record names the one before it on this replica;
 * so two processes never write to one chain, and a chain that is gone is missed.
 */
export class Ledger {
  readonly #deps: LedgerDeps
  #head: Head
  #state: State = { kind: 'store' }
  #isResting = false
  #turn: Promise<unknown> = Promise.resolve()
  #retryTimer: NodeJS.Timeout | undefined
  #recovery: Promise<void> = Promise.resolve()
  #isClosed = false

  private constructor(deps: LedgerDeps, head: Head) {
    this.#deps = deps
    this.#head = head
  }

  /** Stores what an earlier process left on disk, then starts a chain. Rejects when the store is down. */
  static async open(deps: LedgerDeps): Promise<Ledger> {
    await deps.spool.drain((spooled) => storeSpooled(deps, spooled))
    const chain = await deps.store.lastChainOf(deps.replica)
    const last = chain === undefined ? undefined : ((await deps.store.lastRow(chain)) ?? { chain, seq: 0, hash: '' })
    return new Ledger(deps, await startChain(deps, last))
  }

  /** The end of the chain once what is being written now is written; nothing while part of it is not in the store. */
  storedHead(): Promise<Head | undefined> {
    return this.#inTurn(async () => (this.#state.kind === 'store' ? this.#head : undefined))
  }

  get chain(): string {
    return this.#head.chain
  }

  /** Where records go now. */
  get state(): State['kind'] {
    return this.#state.kind
  }

  /** Resolves when the events are durable, in this order; rejects when they are not accepted. One batch at a time. */
  append(events: readonly TimedEvent[]): Promise<void> {
    return this.#inTurn(() => this.#append(events))
  }

  /** Signs the end of the chain. What is on disk by then stays there for the next start. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#retryTimer)
    await this.#recovery
    if (this.#state.kind !== 'store') await this.#recover()
    await this.#inTurn(() => this.#deps.checkpointer.close(this.#state.kind === 'store' ? this.#head : undefined))
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => {})
    return result
  }

  async #append(events: readonly TimedEvent[]): Promise<void> {
    switch (this.#state.kind) {
      case 'broken':
        throw new Error('the store is down and the spool cannot be written')
      case 'spool':
        return this.#toSpool(this.#seal(events))
      case 'unsure':
        await this.#settle(this.#state.attempted)
        return this.#toStore(events)
      case 'store':
        return this.#toStore(events)
    }
  }

  async #toStore(events: readonly TimedEvent[], isSecondTry = false): Promise<void> {
    const sealed = this.#seal(events)
    try {
      await this.#inTime(
        this.#deps.store.append(
          sealed.map(({ row }) => row),
          payloadsOf(sealed),
        ),
      )
      this.#accept(sealed)
    } catch (error) {
      if (isSecondTry || !isDuplicate(error)) return this.#storeFailed(sealed, error)
      // Our next place is taken: an earlier batch arrived late, or someone else wrote into our chain.
      await this.#settle(NOTHING_ATTEMPTED)
      await this.#toStore(events, true)
    }
  }

  #accept(sealed: readonly Sealed[]): void {
    this.#head = sealed.at(-1)?.head ?? this.#head
    if (this.#state.kind === 'store') this.#deps.checkpointer.note(this.#head)
  }

  async #storeFailed(sealed: readonly Sealed[], error: unknown): Promise<void> {
    const { log, onStoreFailure } = this.#deps
    log.error({ err: error, onStoreFailure }, 'the audit trail could not be stored')
    if (onStoreFailure === 'spool') {
      this.#state = { kind: 'spool' }
      this.#retryLater()
      return this.#toSpool(sealed)
    }
    this.#state = { kind: 'unsure', attempted: attemptedOf(sealed) }
    this.#rest()
    throw error
  }

  async #toSpool(sealed: readonly Sealed[]): Promise<void> {
    try {
      await this.#deps.spool.append(sealed)
      this.#accept(sealed)
    } catch (error) {
      this.#deps.log.error({ err: error }, 'the audit spool could not be written')
      this.#state = { kind: 'broken', attempted: attemptedOf(sealed) }
      throw error
    }
  }

  #seal(events: readonly TimedEvent[]): Sealed[] {
    let head = this.#head
    return events.map(({ at, event, payload }) => {
      const sealed = sealRecord(head, at, event, payload?.hash)
      head = sealed.head
      if (!payload) return sealed
      return { ...sealed, payload: this.#deps.payloadSeal.seal({ chain: head.chain, seq: head.seq, at }, payload) }
    })
  }

  /** Asks the store where the chain ends and goes on from there; from anywhere unexpected, with a new chain. */
  async #settle(attempted: Attempted): Promise<void> {
    if (this.#isResting) throw new Error('the store was down a moment ago')
    const last = await this.#inTime(this.#deps.store.lastRow(this.#head.chain)).catch((error: unknown) => {
      this.#rest()
      throw error
    })
    const isAsKnown = last?.seq === this.#head.seq && last.hash === this.#head.hash
    const isLateBatch = last !== undefined && attempted.get(last.seq) === last.hash
    if (isLateBatch) this.#head = last
    if (!isAsKnown && !isLateBatch) {
      this.#deps.log.error(
        { known: this.#head, stored: last },
        'the audit chain in the store is not the one written; a new one is started',
      )
      this.#head = await startChain(this.#deps, this.#head)
    }
    this.#state = { kind: 'store' }
  }

  /** Keeps a store that is down from being asked at every call. */
  #rest(): void {
    this.#isResting = true
    setTimeout(() => (this.#isResting = false), this.#deps.retryMs).unref()
  }

  #retryLater(): void {
    if (this.#isClosed) return
    this.#retryTimer = setTimeout(() => {
      this.#recovery = this.#recover().then(() => {
        if (this.#state.kind !== 'store') this.#retryLater()
      })
    }, this.#deps.retryMs).unref()
  }

  /** Empties the spool into the store: most of it while calls go on, the rest while they wait. */
  async #recover(): Promise<void> {
    const { spool, log } = this.#deps
    const store = (spooled: readonly Spooled[]) => storeSpooled(this.#deps, spooled)
    this.#isResting = false
    try {
      await this.#inTime(this.#deps.store.lastRow(this.#head.chain))
      do await spool.drain(store)
      while ((await spool.sizeBytes()) > SMALL_SPOOL_BYTES)
      await this.#inTurn(async () => {
        await spool.drain(store)
        await this.#settle(
          this.#state.kind === 'broken' || this.#state.kind === 'unsure' ? this.#state.attempted : NOTHING_ATTEMPTED,
        )
      })
      log.info({ head: this.#head }, 'the audit trail is stored again')
      this.#deps.checkpointer.note(this.#head)
    } catch (error) {
      log.debug({ err: error }, 'the audit trail can not be stored yet')
    }
  }

  #inTime<T>(work: Promise<T>): Promise<T> {
    return withinDeadline(work, this.#deps.storeTimeoutMs, 'the audit store')
  }
}

function payloadsOf(sealed: readonly { readonly payload?: PayloadRow | undefined }[]): PayloadRow[] {
  return sealed.flatMap(({ payload }) => (payload ? [payload] : []))
}

function attemptedOf(sealed: readonly Sealed[]): Attempted {
  return new Map(sealed.map(({ head }) => [head.seq, head.hash]))
}

/** A new chain, durable with its first record, which names the end of the chain before it. */
async function startChain(deps: LedgerDeps, previous: Head | undefined): Promise<Head> {
  const chain = newId('chn')
  const at = deps.clock.now()
  const extra = {
    replica: deps.replica,
    signingKey: deps.signingKeyId,
    previous: previous ? { chain: previous.chain, seq: previous.seq, hash: previous.hash } : null,
  }
  const event: AuditEvent = { what: 'audit.chain-started', decision: 'allowed', extra }
  const first = sealRecord({ chain, seq: 0, hash: GENESIS }, at, event)
  await deps.store.startChain({ chain, replica: deps.replica, started_at: at }, first.row)
  deps.checkpointer.note(first.head)
  return first.head
}

/** Stores rows from the spool, again where need be, and makes sure that they and no others have their places. */
async function storeSpooled(deps: LedgerDeps, spooled: readonly Spooled[]): Promise<void> {
  const rows = spooled.map(({ row }) => row)
  await withinDeadline(deps.store.appendMissing(rows, payloadsOf(spooled)), DRAIN_TIMEOUT_MS, 'storing the audit spool')
  const lastOfChain = new Map(rows.map((row) => [row.chain, row]))
  for (const { chain, seq, hash } of lastOfChain.values()) {
    const stored = await deps.store.hashAt(chain, seq)
    if (stored !== hash)
      deps.log.error({ chain, seq }, 'records in the audit spool find their places in the chain taken')
  }
}
