import { setTimeout as pause } from 'node:timers/promises'
import * as z from 'zod'
import type { EgressClient } from '#http'
import type { Storage } from '#storage'
import type { Log } from '#telemetry'
import { Bell } from './bell.ts'
import { parseRecord } from './check-row.ts'
import type { Duty } from './duty.ts'
import { TOPIC } from './follow.ts'
import { toOtlp } from './otlp.ts'
import type { AuditStore } from './store.ts'
import type { RecordRow } from './tables.ts'

/** A collector of OpenTelemetry logs. `headers` may hold its credentials. */
export type Collector = {
  readonly endpoint: string
  readonly headers: Readonly<Record<string, string>>
  readonly client: Pick<EgressClient, 'request' | 'close'>
}

export type ForwarderDeps = {
  readonly store: AuditStore
  readonly storage: Storage
  readonly duty: Duty
  readonly log: Log
  readonly collector: Collector
  readonly onForwarded?: ((records: number) => void) | undefined
  /** The first pause after a failure; it doubles up to a minute. */
  readonly retryMs?: number
  /** How often, at least, all chains are looked at and the duty is renewed. */
  readonly renewMs?: number | undefined
}

const PAGE_ROWS = 500
const BATCH_CHARS = 1_000_000
const POST_MS = 30_000
const MAX_PAUSE_MS = 60_000
/** Well within the time for which the duty is held. */
const RENEW_MS = 20_000

const reply = z.object({ partialSuccess: z.object({ rejectedLogRecords: z.coerce.number().optional() }).optional() })

/**
 * Sends every record to a collector, at least once and in the order of its chain, whichever replica wrote it. It reads
 * what is stored and remembers there how far it came, so it holds one batch in memory and keeps no call waiting,
 * however long the collector is away. One replica does it for all.
 */
export class Forwarder {
  readonly #deps: ForwarderDeps
  readonly #stop = new AbortController()
  readonly #work: Promise<void>
  #failures = 0
  #behind = 0

  private constructor(deps: ForwarderDeps) {
    this.#deps = deps
    this.#work = this.#run()
  }

  /** The first time of all it begins with what is recorded from now on: history leaves by `audit export`. */
  static async open(deps: ForwarderDeps): Promise<Forwarder> {
    await markBeginning(deps.store)
    return new Forwarder(deps)
  }

  /** How many records of the chain that is being sent wait to be; of other replicas' work it knows nothing. */
  get behind(): number {
    return this.#behind
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#work
    await this.#deps.collector.client.close()
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    const bell = new Bell(signal)
    const unsubscribe = this.#deps.storage.changes.subscribe(TOPIC, (chain) => bell.ring(chain))
    while (!signal.aborted) await this.#round(bell).catch((error: unknown) => this.#failed(error))
    unsubscribe()
    await this.#deps.duty.leave().catch(() => {}) // it is free in a minute anyway
  }

  /** Everything there is first, then what rings, for as long as the duty is ours. */
  async #round(bell: Bell): Promise<void> {
    const { store, duty, renewMs = RENEW_MS } = this.#deps
    if (!(await duty.hold())) return void (await bell.heard(renewMs))
    const cursors = await startingPoints(store)
    let chains: Iterable<string> = cursors.keys()
    while (!this.#stop.signal.aborted && (await duty.hold())) {
      for (const chain of chains) await this.#sendChain(chain, cursors)
      const heard = await bell.heard(renewMs)
      // Silence may also mean that somebody could not be heard.
      chains = heard.has('') || heard.size === 0 ? (await store.chains()).map((row) => row.chain) : heard
    }
  }

  async #sendChain(chain: string, cursors: Map<string, number>): Promise<void> {
    const { store, duty, onForwarded } = this.#deps
    while (!this.#stop.signal.aborted && (await duty.hold())) {
      const after = cursors.get(chain) ?? 0
      const rows = withinChars(await store.page(chain, after, PAGE_ROWS))
      const last = rows.at(-1)?.seq
      if (last === undefined) return void (this.#behind = 0)
      this.#behind = ((await store.lastRow(chain))?.seq ?? last) - after
      await this.#post(rows)
      await store.setForwarded(chain, last)
      cursors.set(chain, last)
      onForwarded?.(rows.length)
      this.#succeeded()
    }
  }

  async #post(rows: readonly RecordRow[]): Promise<void> {
    const { client, endpoint, headers } = this.#deps.collector
    const records = rows.flatMap((row) => {
      const record = parseRecord(row.record)
      return record ? [{ ...record, hash: row.hash }] : []
    })
    const response = await client.request({
      url: endpoint,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      credentials: headers,
      body: JSON.stringify(toOtlp(records)),
      signal: AbortSignal.any([this.#stop.signal, AbortSignal.timeout(POST_MS)]),
      maxBytes: 65_536,
    })
    if (response.status < 200 || response.status > 299)
      throw new Error(`the collector answered with status ${response.status}`)
    const rejected = rejectedIn(response.body)
    if (rejected > 0) this.#deps.log.warn({ rejected }, 'the collector did not take some audit records')
  }

  /** Said once, loudly; then once more when it works again. */
  async #failed(error: unknown): Promise<void> {
    if (this.#stop.signal.aborted) return
    const { log, retryMs = 1_000 } = this.#deps
    this.#failures += 1
    if (this.#failures === 1) log.error({ err: error }, 'audit records could not be sent to the collector; they wait')
    else log.debug({ err: error, failures: this.#failures }, 'the collector still takes no audit records')
    const ms = Math.min(MAX_PAUSE_MS, retryMs * 2 ** Math.min(this.#failures - 1, 16))
    await pause(ms, undefined, { signal: this.#stop.signal, ref: false }).catch(() => {})
  }

  #succeeded(): void {
    if (this.#failures > 0) this.#deps.log.info({ failures: this.#failures }, 'audit records are sent again')
    this.#failures = 0
  }
}

async function markBeginning(store: AuditStore): Promise<void> {
  if ((await store.forwarded()).size > 0) return
  for (const { chain } of await store.chains()) await store.setForwarded(chain, (await store.lastRow(chain))?.seq ?? 0)
}

/** How far each chain was sent; one that is not known has begun since. */
async function startingPoints(store: AuditStore): Promise<Map<string, number>> {
  const known = await store.forwarded()
  return new Map((await store.chains()).map(({ chain }) => [chain, known.get(chain) ?? 0]))
}

/** As many as fit into one request; always at least one. */
function withinChars(rows: readonly RecordRow[]): readonly RecordRow[] {
  let chars = 0
  const end = rows.findIndex((row, index) => {
    chars += row.record.length
    return index > 0 && chars > BATCH_CHARS
  })
  return end < 0 ? rows : rows.slice(0, end)
}

function rejectedIn(body: Buffer): number {
  try {
    return reply.parse(JSON.parse(body.toString() || '{}')).partialSuccess?.rejectedLogRecords ?? 0
  } catch {
    return 0 // some collectors answer with nothing, or in words
  }
}
