import { Problem, type JsonObject } from '#kernel'
import { BROKEN_REPLY, OVERLOADED } from '../../../problems.ts'
import type { CallerSession, FollowedTask, Identify, ResourceSubscription } from '../../../source.ts'
import type { ModernCarrier } from './carrier.ts'
import { modernCapabilities, withEnvelope } from './envelope.ts'
import { listen } from './listen.ts'

/** Followed resources and tasks of one server at once; each is a stream that stays open. */
export const MAX_FOLLOWED = 2_000
const START_WAIT_MS = 30_000

type Wanted = {
  readonly session: CallerSession
  readonly identity: Identify | undefined
  readonly notifications: JsonObject
  readonly understandsTasks: boolean
  isHonoured(honoured: JsonObject): boolean
  /** The stream was lost and made anew. */
  isBack?(): void
  hear(method: string, params: JsonObject): void
  /** What the server does not tell about. */
  readonly what: string
}

/** What callers follow at a stateless server: a `subscriptions/listen` for each resource and each task. */
export class Following {
  readonly #server: string
  readonly #carrier: ModernCarrier
  /** With the key of the session that follows. */
  readonly #open = new Map<AbortController, string>()

  constructor(server: string, carrier: ModernCarrier) {
    this.#server = server
    this.#carrier = carrier
  }

  get count(): number {
    return this.#open.size
  }

  resource(followed: ResourceSubscription): Promise<() => Promise<void>> {
    const { session, identity, uri } = followed
    return this.#follow({
      session,
      identity,
      notifications: { resourceSubscriptions: [uri] },
      understandsTasks: false,
      isHonoured: ({ resourceSubscriptions: uris }) => Array.isArray(uris) && uris.includes(uri),
      hear: (method, params) => {
        if (method === 'notifications/resources/updated' && params['uri'] === uri) followed.onUpdated(params)
      },
      what: 'changes of resources',
    })
  }

  task(followed: FollowedTask): Promise<() => Promise<void>> {
    const { session, identity, taskId } = followed
    return this.#follow({
      session,
      identity,
      notifications: { taskIds: [taskId] },
      understandsTasks: true,
      isHonoured: ({ taskIds }) => Array.isArray(taskIds) && taskIds.includes(taskId),
      isBack: () => followed.onChanged(),
      hear: (method, params) => {
        if (method === 'notifications/tasks' && params['taskId'] === taskId) followed.onChanged()
      },
      what: 'changes of tasks',
    })
  }

  endSession(sessionKey: string): void {
    for (const [stop, key] of this.#open) if (key === sessionKey) this.#end(stop)
  }

  close(): void {
    for (const stop of this.#open.keys()) this.#end(stop)
  }

  async #follow(wanted: Wanted): Promise<() => Promise<void>> {
    if (this.#open.size >= MAX_FOLLOWED) {
      throw new Problem(OVERLOADED, `${MAX_FOLLOWED} things of server "${this.#server}" are followed already`)
    }
    const stop = new AbortController()
    this.#open.set(stop, wanted.session.key)
    try {
      await this.#begin(wanted, stop)
    } catch (error) {
      this.#end(stop)
      throw error
    }
    return async () => this.#end(stop)
  }

  /** Resolves when the server has agreed to tell. */
  async #begin({ session, identity, ...wanted }: Wanted, stop: AbortController): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const clientCapabilities = modernCapabilities(session, wanted)
    const { clientInfo } = session
    const params = withEnvelope({ notifications: wanted.notifications }, { clientInfo, clientCapabilities })
    const refuse = () =>
      reject(new Problem(BROKEN_REPLY, `server "${this.#server}" does not tell about ${wanted.what}`))
    const sink = {
      acknowledged: (honoured: JsonObject, { isReconnection }: { isReconnection: boolean }) => {
        if (!wanted.isHonoured(honoured)) return refuse()
        resolve()
        if (isReconnection) wanted.isBack?.()
      },
      notification: (method: string, told: JsonObject) => wanted.hear(method, told),
      lost: () => undefined,
    }
    const late = setTimeout(refuse, START_WAIT_MS)
    void listen(this.#carrier, params, { sink, signal: stop.signal, session, identity }).then(refuse)
    await promise.finally(() => clearTimeout(late))
  }

  #end(stop: AbortController): void {
    this.#open.delete(stop)
    stop.abort(new Error('it is followed no more'))
  }
}
