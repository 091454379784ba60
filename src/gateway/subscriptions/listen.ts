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
  readonly #early: (() => void)[] = []
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
      const [uris, taskIds] = await Promise.all([
        this.#followed(this.#filter.uris, (uri) => this.#followResource(uri)),
        this.#followed(this.#filter.taskIds, (taskId) => this.#followTask(taskId)),
      ])
      if (this.#isEnded || res.destroyed) return
      this.#acknowledge({ lists: this.#filter.lists, uris, taskIds })
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

  #acknowledge(filter: Filter): void {
    const { face, exchange } = this.#request
    this.#sse = new SseResponse(exchange.res, { clock: face.clock, pulse: face.pulse, ...face.limits })
    this.#say('notifications/subscriptions/acknowledged', { notifications: describeFilter(filter) })
    if (filter.lists.size + filter.uris.length + filter.taskIds.length === 0) return this.end()
    for (const say of this.#early.splice(0)) say()
    const stop = face.tools.onListChanged(exchange.admission, (kind) => {
      if (filter.lists.has(kind)) this.#say(`notifications/${kind}/list_changed`, {}, 'droppable')
    })
    this.#releases.push(async () => stop())
    face.pulse.add(this)
  }

  /** Those of them that may be followed, and can be. */
  async #followed(names: readonly string[], follow: (name: string) => Promise<() => Promise<void>>): Promise<string[]> {
    const followed = await Promise.all(
      names.map(async (name) => ((await this.#isFollowed(follow(name))) ? [name] : [])),
    )
    return followed.flat()
  }

  async #isFollowed(following: Promise<() => Promise<void>>): Promise<boolean> {
    try {
      this.#releases.push(await following)
      return true
    } catch (error) {
      if (!isProblem(error)) this.#request.face.log.error({ err: error }, 'could not follow a resource or a task')
      return false
    }
  }

  #followResource(uri: string): Promise<() => Promise<void>> {
    const { face, exchange, session } = this.#request
    return face.tools.subscribe({
      admission: exchange.admission,
      session,
      uri,
      onUpdated: (params) => this.#tell(() => this.#say('notifications/resources/updated', params, 'droppable')),
    })
  }

  #followTask(taskId: string): Promise<() => Promise<void>> {
    const { face, exchange, session } = this.#request
    return face.tools.followTask({
      admission: exchange.admission,
      session,
      taskId,
      onTask: (task) => this.#tell(() => this.#say('notifications/tasks', task)),
    })
  }

  /** What is heard before the acknowledgement comes after it. */
  #tell(say: () => void): void {
    if (this.#sse === undefined) this.#early.push(say)
    else say()
  }

  #say(method: string, params: JsonObject, droppable?: 'droppable'): void {
    if (this.#isEnded) return
    const meta = isJsonObject(params._meta) ? params._meta : {}
    const stamped = { ...params, _meta: { ...meta, [SUBSCRIPTION_ID]: this.#request.message.id } }
    this.#sse?.send(notificationMessage(method, stamped), droppable)
  }
}
