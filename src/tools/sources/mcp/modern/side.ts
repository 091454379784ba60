import type { JsonObject } from '#kernel'
import { LIST_LIMITS } from '../../../catalog/list-limits.ts'
import type { Definition, FollowedTask, Offer, ResourceSubscription } from '../../../source.ts'
import type { SourceDeps } from '../../deps.ts'
import type { Adapter } from '../adapter.ts'
import { objectAt, stringAt } from '../json.ts'
import { listAll, serverInfoOf, type Lists } from '../list-all.ts'
import { brokenReply } from '../reasons.ts'
import type { ModernCalls } from './call.ts'
import type { ModernCarrier } from './carrier.ts'
import { withEnvelope } from './envelope.ts'
import { callFollowingTasks } from './follow-task.ts'
import { Following } from './following.ts'
import { listen } from './listen.ts'
import { readParamHeaders, type ParamHeader } from './param-headers.ts'

export type ModernSide = {
  readonly server: string
  readonly carrier: ModernCarrier
  readonly deps: SourceDeps
  listChanged(): void
  /** Hear of list changes by a stream that stays open, and so keeps open what carries it. */
  readonly listensToLists: boolean
  /** How many processes serve it, where it is not behind a URL. */
  processes?(): number
  close(): Promise<void>
}

/** A server of the stateless era (2026-07-28). All that is held here: what it offers, and the streams we listen to. */
export function createModernSide(side: ModernSide): Adapter {
  return new Modern(side)
}

const HEADER_MISMATCH = -32020
const LIST_CHANGES = { toolsListChanged: 'tools', promptsListChanged: 'prompts', resourcesListChanged: 'resources' }

class Modern implements Adapter {
  readonly era = 'modern'
  readonly #side: ModernSide
  readonly #paramHeaders = new Map<string, readonly ParamHeader[]>()
  readonly #calls: ModernCalls
  readonly #following: Following
  #listening: AbortController | undefined
  #lastToken = 0

  constructor(side: ModernSide) {
    this.#side = side
    const { server, carrier } = side
    this.#following = new Following(server, carrier)
    this.#calls = {
      server,
      carrier,
      paramHeaders: this.#paramHeaders,
      nextToken: () => {
        this.#lastToken += 1
        return this.#lastToken
      },
    }
  }

  async sync(signal: AbortSignal): Promise<Offer> {
    const { server } = this.#side
    const discovered = await this.#ask('server/discover', {}, signal)
    if ('code' in discovered)
      throw brokenReply(server, `answered server/discover with error ${String(discovered.code)}`)
    const said = discovered.result.value()
    const capabilities = objectAt(said, 'capabilities')
    const lists = await listAll({
      server,
      capabilities,
      page: (method, params) => this.#ask(method, params, signal, LIST_LIMITS.pageBytes),
    })
    if (this.#side.listensToLists) this.#listenToLists(capabilities)
    const instructions = stringAt(said, 'instructions')
    return {
      era: 'modern',
      serverInfo: serverInfoOf(said),
      capabilities,
      ...(instructions !== undefined && { instructions }),
      ...this.#checked(lists),
    }
  }

  async call(...[call, port]: Parameters<Adapter['call']>): ReturnType<Adapter['call']> {
    const reply = await callFollowingTasks(this.#calls, call, port)
    // The tool's annotations are not what we knew: whoever lists again will get it right the next time.
    if (reply.kind === 'error' && reply.error.code === HEADER_MISMATCH) this.#side.listChanged()
    return reply
  }

  subscribe(subscription: ResourceSubscription): Promise<() => Promise<void>> {
    return this.#following.resource(subscription)
  }

  followTask(task: FollowedTask): Promise<() => Promise<void>> {
    return this.#following.task(task)
  }

  async announce(): Promise<void> {
    // Nothing to tell: each request of this era carries roots and log level by itself.
  }

  async endSession(sessionKey: string): Promise<void> {
    this.#following.endSession(sessionKey)
  }

  usage() {
    return {
      sessions: 0,
      parkedCalls: 0,
      processes: this.#side.processes?.() ?? 0,
      subscriptions: this.#following.count,
    }
  }

  async close(): Promise<void> {
    this.#listening?.abort()
    this.#following.close()
    await this.#side.close()
  }

  async #ask(method: string, params: JsonObject, signal: AbortSignal, maxBytes?: number) {
    const answer = await this.#side.carrier.request({ method, params: this.#ownEnvelope(params), signal, maxBytes })
    if (answer.kind === 'error') return answer.error
    return answer
  }

  #ownEnvelope(params: JsonObject): JsonObject {
    return withEnvelope(params, { clientInfo: { ...this.#side.deps.house }, clientCapabilities: {} })
  }

  /** A tool whose annotations are invalid is left out whole (2026-07-28 server/tools). */
  #checked(lists: Lists): Lists {
    const { deps, server } = this.#side
    this.#paramHeaders.clear()
    const tools = lists.tools.filter((tool: Definition) => {
      const name = stringAt(tool, 'name')
      const headers = readParamHeaders(tool)
      if ('invalid' in headers) {
        deps.log.warn(
          { server, tool: name, reason: headers.invalid },
          'a tool is left out: its header annotations are invalid',
        )
        return false
      }
      if (name !== undefined) this.#paramHeaders.set(name, headers)
      return true
    })
    return { ...lists, tools }
  }

  #listenToLists(capabilities: JsonObject): void {
    const wanted = Object.entries(LIST_CHANGES).filter(
      ([, name]) => objectAt(capabilities, name)['listChanged'] === true,
    )
    if (this.#listening !== undefined || wanted.length === 0) return
    const stop = new AbortController()
    this.#listening = stop
    const { events } = this.#side.deps
    const notifications = Object.fromEntries(wanted.map(([filter]) => [filter, true]))
    const sink = {
      acknowledged: (_honoured: JsonObject, { isReconnection }: { isReconnection: boolean }) => {
        if (!isReconnection) return
        events.connection('up', 'the server is back')
        this.#side.listChanged()
      },
      notification: (method: string) => {
        if (method.endsWith('/list_changed')) this.#side.listChanged()
      },
      lost: (reason: string) => events.connection('down', reason),
    }
    void listen(this.#side.carrier, this.#ownEnvelope({ notifications }), { sink, signal: stop.signal })
  }
}
