import type { JsonObject } from '#kernel'
import type { EgressClient } from '#http'
import type {
  CallerPort,
  CallerSession,
  Offer,
  Reply,
  ResourceSubscription,
  Source,
  SourceCall,
  SourceUsage,
} from '../../source.ts'
import type { HttpServerConfig } from '../../config.ts'
import type { ServerOf, SourceDeps } from '../deps.ts'
import type { Adapter } from './adapter.ts'
import { deadline } from './deadline.ts'
import { debounced } from './debounced.ts'
import { detectEra, type HttpEra, type Verdict } from './era.ts'
import { createHttpOpenLink } from './legacy/http-link.ts'
import { createLegacySide } from './legacy/side.ts'
import { createSseOpenLink } from './legacy/sse-link.ts'
import type { OpenLink } from './link.ts'
import { createHttpCarrier } from './modern/carrier.ts'
import { createModernSide } from './modern/side.ts'
import { brokenReply } from './reasons.ts'
import type { Wire } from './wire/exchange.ts'
import { WrongEra } from './wrong-era.ts'

/** An MCP server behind a URL, of whichever era it turns out to be and may turn into. */
export function createHttpSource(server: ServerOf<HttpServerConfig>, deps: SourceDeps): Source {
  return new HttpSource(server, deps)
}

/** A verdict against the newest era is looked at again after this time: servers are upgraded in place. */
const VERDICT_MS = 3_600_000

type Found = { readonly adapter: Adapter; readonly verdict: Verdict; readonly at: number }

class HttpSource implements Source {
  readonly #config: HttpServerConfig
  readonly #deps: SourceDeps
  readonly #client: EgressClient
  readonly #wire: Wire
  readonly #openHttp: OpenLink
  readonly #openSse: OpenLink
  readonly #listChanged: ReturnType<typeof debounced>
  #found: Found | undefined
  #finding: Promise<Found> | undefined

  constructor({ config, trusted }: ServerOf<HttpServerConfig>, deps: SourceDeps) {
    this.#config = config
    this.#deps = deps
    this.#client = deps.egress.open({ trusted, allow: config.allow_addresses })
    this.#wire = {
      server: config.name,
      dispatcher: this.#client.dispatcher,
      url: new URL(config.url),
      headers: lowerCased(config.headers),
      maxBytes: config.max_result_bytes,
    }
    this.#openHttp = createHttpOpenLink(this.#wire, { isRefused: false })
    this.#openSse = createSseOpenLink(this.#wire)
    this.#listChanged = debounced(() => deps.events.listChanged())
  }

  async sync(signal: AbortSignal): Promise<Offer> {
    if (this.#isDue()) await this.#find()
    return this.#inItsEra((adapter) => adapter.sync(signal))
  }

  call(call: SourceCall, port: CallerPort): Promise<Reply> {
    return this.#inItsEra((adapter) => adapter.call(call, port))
  }

  subscribe(subscription: ResourceSubscription): Promise<() => Promise<void>> {
    return this.#inItsEra((adapter) => adapter.subscribe(subscription))
  }

  async announce(session: CallerSession, method: string, params: JsonObject): Promise<void> {
    await this.#found?.adapter.announce(session, method, params)
  }

  async endSession(sessionKey: string): Promise<void> {
    await this.#found?.adapter.endSession(sessionKey)
  }

  usage(): SourceUsage {
    return this.#found?.adapter.usage() ?? { sessions: 0, parkedCalls: 0, processes: 0, subscriptions: 0 }
  }

  async close(): Promise<void> {
    this.#listChanged.stop()
    await this.#found?.adapter.close()
    await this.#client.close()
  }

  /** When the server no longer fits its era, the era is looked for again, and what was not executed is done once more. */
  async #inItsEra<Result>(use: (adapter: Adapter) => Promise<Result>): Promise<Result> {
    const { adapter } = this.#found ?? (await this.#find())
    try {
      return await use(adapter)
    } catch (error) {
      if (!(error instanceof WrongEra)) throw error
    }
    const again = this.#found?.adapter === adapter ? await this.#find() : (this.#found ?? (await this.#find()))
    return use(again.adapter).catch((error: unknown) => {
      throw error instanceof WrongEra
        ? brokenReply(this.#config.name, 'answers like no protocol era that we know')
        : error
    })
  }

  #isDue(): boolean {
    if (this.#found === undefined || this.#found.verdict.era === 'modern') return false
    return !this.#found.verdict.isSure || this.#deps.clock.now() - this.#found.at > VERDICT_MS
  }

  #find(): Promise<Found> {
    this.#finding ??= this.#findAnew().finally(() => {
      this.#finding = undefined
    })
    return this.#finding
  }

  async #findAnew(): Promise<Found> {
    const verdict = await detectEra({
      wire: this.#wire,
      house: this.#deps.house,
      openHttp: this.#openHttp,
      openSse: this.#openSse,
      signal: deadline(this.#config.name, this.#config.timeout_ms),
    })
    const before = this.#found
    const isSame = before?.verdict.era === verdict.era
    const adapter = isSame && before !== undefined ? before.adapter : this.#adapterOf(verdict.era)
    this.#found = { adapter, verdict, at: this.#deps.clock.now() }
    if (before !== undefined && !isSame) {
      await before.adapter.close()
      this.#listChanged.call()
    }
    return this.#found
  }

  #adapterOf(era: HttpEra): Adapter {
    const { name, max_result_bytes, timeout_ms, max_sessions, session_idle_ms } = this.#config
    const common = {
      server: name,
      maxBytes: max_result_bytes,
      deps: this.#deps,
      listChanged: () => this.#listChanged.call(),
      close: async () => undefined,
    }
    if (era === 'modern') return createModernSide({ ...common, carrier: createHttpCarrier(this.#wire) })
    return createLegacySide({
      ...common,
      era,
      openLink: era === 'sse' ? this.#openSse : this.#openHttp,
      openTimeoutMs: timeout_ms,
      limits: { max: max_sessions, idleMs: session_idle_ms },
    })
  }
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
