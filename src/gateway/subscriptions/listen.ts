import { isJsonObject, isProblem, type JsonObject } from '#kernel'
import type { ModernRequest } from '../modern/session.ts'
import type { OpenExchange } from '../open-exchanges.ts'
import type { Beating } from '../pulse.ts'
import { SseResponse } from '../sse.ts'
import { notificationMessage, resultMessage } from '../write.ts'
import { describeFilter, type Filter } from './filter.ts'

const SUBSCRIPTION_ID = 'io.modelcontextprotocol/subscriptionId'

/** One open `subscriptions/listen`. Every message carries the id of the request that opened it. */
export class Listen implements Beating, OpenExchange {
  readonly #request: ModernRequest
  readonly #filter: Filter
  readonly #closed = Promise.withResolvers<void>()
  readonly #releases: (() => Promise<void>)[] = []
  #sse: SseResponse | undefined
  #isEnded = false
  #admittedAt: number

  constructor(request: ModernRequest, filter: Filter) {
    this.#request = request
    this.#filter = filter
    this.#admittedAt = request.face.clock.now()
  }

  /** Runs until either side ends it; then everything it followed is released. */
  async run(): Promise<void> {
    const { face, exchange } = this.#request
    const { res } = exchange
    face.open.add(this)
    res.once('close', () => this.#closed.resolve())
    try {
      const early: JsonObject[] = []
      const uris = await this.#follow(early)
      if (this.#isEnded || res.destroyed) return
      this.#acknowledge({ lists: this.#filter.lists, uris }, early)
      await this.#closed.promise
    } finally {
      face.pulse.remove(this)
      face.open.remove(this)
      await Promise.allSettled(this.#releases.map(async (release) => await release()))
    }
  }

  /** Ends the stream as the specification wants it: with a complete result. */
  end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    const _meta = {
      [SUBSCRIPTION_ID]: this.#request.message.id,
      'io.modelcontextprotocol/serverInfo': this.#request.face.house,
    }
    const result = Buffer.from(JSON.stringify({ resultType: 'complete', _meta }))
    this.#sse?.send(resultMessage(this.#request.message.id, [result]))
    this.#sse?.end()
    this.#closed.resolve()
  }

  get exchange(): OpenExchange['exchange'] {
    return this.#request.exchange
  }

  /** A key that was revoked hears nothing more from now on. */
  expel(): void {
    this.end()
  }

  /** Nor does one that has expired, or one whose gateway is gone. */
  beat(now: number): void {
    const { face, exchange } = this.#request
    if (now - this.#admittedAt < face.limits.keepAliveMs) return
    this.#admittedAt = now
    if (face.tools.whyNoLonger(exchange) !== null) this.end()
  }

  #acknowledge(filter: Filter, early: JsonObject[]): void {
    const { face, exchange } = this.#request
    this.#sse = new SseResponse(exchange.res, { clock: face.clock, pulse: face.pulse, ...face.limits })
    this.#say('notifications/subscriptions/acknowledged', { notifications: describeFilter(filter) })
    if (filter.lists.size === 0 && filter.uris.length === 0) return this.end()
    for (const params of early) this.#say('notifications/resources/updated', params)
    const stop = face.tools.onListChanged(exchange.admission, (kind) => {
      if (filter.lists.has(kind)) this.#say(`notifications/${kind}/list_changed`, {})
    })
    this.#releases.push(async () => stop())
    face.pulse.add(this)
  }

  /** Follows the resources one by one; those that may not be read, or cannot be followed, are left out. */
  async #follow(early: JsonObject[]): Promise<string[]> {
    const followed = await Promise.all(
      this.#filter.uris.map(async (uri) => ((await this.#followOne(uri, early)) ? [uri] : [])),
    )
    return followed.flat()
  }

  async #followOne(uri: string, early: JsonObject[]): Promise<boolean> {
    const { face, exchange, session } = this.#request
    try {
      const release = await face.tools.subscribe({
        admission: exchange.admission,
        session,
        uri,
        onUpdated: (params) => {
          if (this.#sse === undefined) early.push(params)
          else this.#say('notifications/resources/updated', params)
        },
      })
      this.#releases.push(release)
      return true
    } catch (error) {
      if (!isProblem(error)) face.log.error({ err: error }, 'could not follow a resource')
      return false
    }
  }

  #say(method: string, params: JsonObject): void {
    if (this.#isEnded) return
    const meta = isJsonObject(params._meta) ? params._meta : {}
    const stamped = { ...params, _meta: { ...meta, [SUBSCRIPTION_ID]: this.#request.message.id } }
    this.#sse?.send(notificationMessage(method, stamped), 'droppable')
  }
}
