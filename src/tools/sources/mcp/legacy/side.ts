import type { JsonObject } from '#kernel'
import type {
  CallerPort,
  CallerSession,
  Era,
  FollowedTask,
  Offer,
  Reply,
  ResourceSubscription,
  SourceCall,
  SourceUsage,
} from '../../../source.ts'
import type { SourceDeps } from '../../deps.ts'
import type { Adapter } from '../adapter.ts'
import { stringAt } from '../json.ts'
import type { OpenLink } from '../link.ts'
import { LIST_LIMITS } from '../../../catalog/list-limits.ts'
import { listAll } from '../list-all.ts'
import { ALL_CAPABILITIES } from './capabilities.ts'
import { cannotBeAsked, cannotOpenPages, declined, judgeVisits, pagesToVisit } from './consent.ts'
import { Conversation } from './conversation.ts'
import { introduce } from './handshake.ts'
import { deadline } from '../deadline.ts'
import { sessionEnded, type LegEnd, LiveCall } from './live-call.ts'
import { Parking } from './parking.ts'
import type { Introduction, Placing } from './placing.ts'
import { Pool, type PoolLimits } from './pool.ts'
import { SessionGone } from './session-gone.ts'
import { TaskDesk } from './task-desk.ts'
import { asTask, createdTask, runsAsTask, taskSupportOf, toModernTask, type TaskSupport } from './tasks.ts'
import { untilAborted } from './until-aborted.ts'

export type LegacySide = {
  readonly server: string
  readonly era: Era
  readonly openLink: OpenLink
  readonly openTimeoutMs: number
  readonly limits: PoolLimits
  readonly placing: Placing
  readonly deps: SourceDeps
  listChanged(): void
  close(): Promise<void>
}

/** What is parked: a request the server works on, or one that it refused until the user has visited pages. */
type Held = { readonly live: LiveCall } | { readonly pages: NonNullable<ReturnType<typeof pagesToVisit>> }

/** For whom a conversation is. */
type For = Pick<SourceCall, 'session' | 'identity'> & { readonly signal?: AbortSignal }

/** A server of the session era (2024-11-05 to 2025-11-25), whatever carries it. */
export function createLegacySide(side: LegacySide): Adapter {
  return new Legacy(side)
}

class Legacy implements Adapter {
  readonly era: Era
  readonly #side: LegacySide
  readonly #pool: Pool<Conversation>
  readonly #probes: Pool<Conversation>
  readonly #parking: Parking<Held>
  readonly #desk = new TaskDesk()
  /** By tool name, from the last sync. */
  readonly #taskSupport = new Map<string, TaskSupport>()
  #isClosed = false

  constructor(side: LegacySide) {
    this.era = side.era
    this.#side = side
    this.#pool = new Pool<Conversation>(side.server, side.limits)
    this.#probes = side.placing.keepsProbe
      ? new Pool<Conversation>(side.server, { max: 1, idleMs: Infinity })
      : this.#pool
    this.#parking = new Parking<Held>((held, reason) => {
      if ('live' in held) held.live.abort(reason)
    })
  }

  async sync(signal: AbortSignal): Promise<Offer> {
    return this.#using(
      this.#probes,
      () => this.#probe(),
      (conversation) => this.#list(conversation, signal),
    )
  }

  async call(call: SourceCall, port: CallerPort): Promise<Reply> {
    if (call.state !== undefined) return this.#resume(call, call.state, port)
    if (!call.method.startsWith('tasks/')) return this.#start(call, port)
    return this.#using(
      this.#pool,
      () => this.#conversationOf(call),
      (conversation) => this.#desk.serve(conversation, call),
    )
  }

  async subscribe(subscription: ResourceSubscription): Promise<() => Promise<void>> {
    const signal = this.#openDeadline()
    const acquire = () => this.#conversationOf(subscription)
    await this.#using(this.#pool, acquire, (conversation) => conversation.follow(subscription, signal))
    return async () => {
      await Promise.all(this.#heldBy(subscription.session.key).map((held) => held.unfollow(subscription)))
    }
  }

  async followTask(task: FollowedTask): Promise<() => Promise<void>> {
    await this.#using(
      this.#pool,
      () => this.#conversationOf(task),
      async (held) => held.followTask(task),
    )
    return async () => {
      for (const held of this.#heldBy(task.session.key)) held.unfollowTask(task)
    }
  }

  async announce(session: CallerSession, method: string, params: JsonObject): Promise<void> {
    await Promise.all(this.#heldBy(session.key).map((held) => held.announce(method, params)))
  }

  async endSession(sessionKey: string): Promise<void> {
    this.#parking.dropSession(sessionKey)
    const reason = sessionEnded(this.#side.server)
    await Promise.all(this.#heldBy(sessionKey).map((held) => held.part(sessionKey, reason)))
    if (this.#side.placing.isExclusive) await this.#pool.end(sessionKey)
  }

  usage(): SourceUsage {
    const conversations = this.#pool.conversations()
    const subscriptions = conversations.reduce((sum, conversation) => sum + conversation.subscriptionCount, 0)
    const held = { parkedCalls: this.#parking.size, subscriptions }
    return this.era === 'legacy' && this.#side.placing.isProcess
      ? { ...held, sessions: 0, processes: this.#pool.size }
      : { ...held, sessions: this.#pool.size, processes: 0 }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#parking.dropSession()
    await Promise.all([this.#pool.close(), this.#probes.close()])
    await this.#side.close()
  }

  async #start(call: SourceCall, port: CallerPort): Promise<Reply> {
    const acquire = () => untilAborted(this.#conversationOf(call), call.signal, this.#side.server)
    return this.#using(this.#pool, acquire, async (conversation) => {
      const support = this.#taskSupport.get(stringAt(call.params, 'name') ?? '')
      const isTask = runsAsTask(call, support, conversation.peer.capabilities)
      if (isTask && call.task !== undefined) return this.#startTask(conversation, call)
      const live = await conversation.startCall(call, isTask ? 'task' : 'request')
      return this.#reply({ call, port, held: { live }, end: await live.leg(call, port) })
    })
  }

  async #startTask(conversation: Conversation, call: SourceCall): Promise<Reply> {
    const response = await conversation.ask(call, { method: call.method, params: asTask(call) })
    const task = createdTask(this.#side.server, response)
    if (task !== undefined) return { kind: 'task', task: toModernTask(task) }
    if ('error' in response) return { kind: 'error', error: response.error }
    return { kind: 'complete', ...response }
  }

  async #resume(call: SourceCall, state: string, port: CallerPort): Promise<Reply> {
    const { held, id } = this.#parking.take(state, call.session.key)
    const answers = call.inputResponses ?? {}
    if ('live' in held) {
      held.live.answer(answers)
      const end = await held.live.leg(call, port).catch((error: unknown) => {
        this.#parking.leave(id)
        throw error
      })
      return this.#reply({ call, port, held, end, id })
    }
    const verdict = judgeVisits(held.pages, answers)
    if (verdict === 'missing') return this.#park(call, held, id)
    this.#parking.leave(id)
    return verdict === 'accepted' ? this.#start(call, port) : declined(call)
  }

  #reply(leg: {
    call: SourceCall
    port: CallerPort
    held: Held & { live: LiveCall }
    end: LegEnd
    id?: string
  }): Reply {
    const { call, held, end, id } = leg
    if (end.kind === 'asked') return this.#park(call, held, id)
    if (id !== undefined) this.#parking.leave(id)
    const { response } = end
    const { lacked } = held.live
    const hasFailed = 'error' in response || response.isError
    if (hasFailed && lacked !== undefined && call.session.era === 'modern') return cannotBeAsked(lacked)
    if (!('error' in response)) return { kind: 'complete', ...response }
    const pages = call.session.era === 'modern' ? pagesToVisit(response.error) : undefined
    if (pages === undefined) return { kind: 'error', error: response.error }
    return cannotOpenPages(call, response.error) ?? this.#park(call, { pages })
  }

  #park(call: SourceCall, held: Held, id?: string): Reply {
    const requests = 'pages' in held ? held.pages : held.live.questions()
    const state = this.#parking.park(held, call.session.key, id)
    return { kind: 'input', requests, state, pinned: true }
  }

  /** The conversations in which a caller session has something. */
  #heldBy(sessionKey: string): readonly Conversation[] {
    const own = this.#side.placing.isExclusive ? [this.#pool.find(sessionKey)] : this.#pool.conversations()
    return own
      .filter((conversation) => conversation?.hasCaller(sessionKey) === true)
      .filter((held) => held !== undefined)
  }

  #openDeadline(): AbortSignal {
    const { server, openTimeoutMs, placing } = this.#side
    return deadline(server, openTimeoutMs, placing.isProcess ? 'start_timeout_ms' : 'timeout_ms')
  }

  #probe(): Promise<Conversation> {
    const key = this.#side.placing.probeKey
    const house = { clientInfo: { ...this.#side.deps.house }, capabilities: ALL_CAPABILITIES }
    return this.#probes.acquire({ key, owner: undefined }, () => this.#open(key, house))
  }

  async #conversationOf({ session: caller, identity, signal }: For): Promise<Conversation> {
    const { placing } = this.#side
    const key = placing.place(caller, () => this.#pool.conversations())
    const place = { key, owner: placing.ownerOf(caller) }
    const open = (): Promise<Conversation> => this.#open(key, { ...placing.introduce(caller), identity })
    const conversation = await this.#pool.acquire(place, open, signal)
    conversation.join(caller, identity)
    return conversation
  }

  async #open(key: string, who: Introduction & { identity?: For['identity'] | undefined }): Promise<Conversation> {
    const { server, deps, openLink } = this.#side
    const { clientInfo, capabilities } = who
    const conversation = new Conversation({
      key,
      server,
      log: deps.log,
      identity: who.identity,
      onListChanged: () => this.#listChanged(key),
    })
    const events = { message: conversation.receive.bind(conversation) }
    const signal = this.#openDeadline()
    const { identity } = conversation
    const hand = { key, clientInfo, capabilities, signal, events, identity }
    conversation.begin(await introduce(server, openLink, hand))
    void conversation.link.closed.then(() => this.#mend(conversation))
    return conversation
  }

  /** After a session was lost: what was followed in it is followed anew, and lists may have changed unheard. */
  async #mend(lost: Conversation): Promise<void> {
    if (this.#isClosed || lost.isEnded) return
    this.#pool.drop(lost)
    if (lost.key === this.#side.placing.probeKey) this.#side.listChanged()
    for (const task of lost.followedTasks()) task.onChanged()
    const signal = this.#openDeadline()
    for (const follower of lost.followers()) {
      const again = this.#conversationOf(follower).then((conversation) => conversation.follow(follower, signal))
      await again.catch((error: unknown) => {
        this.#side.deps.log.warn(
          { server: this.#side.server, reason: String(error) },
          'a resource is no longer followed',
        )
      })
    }
  }

  /** The probe's own session hears of every change; other sessions would only say it again. */
  #listChanged(key: string): void {
    if (key === this.#side.placing.probeKey || this.#probes.find(this.#side.placing.probeKey) === undefined)
      this.#side.listChanged()
  }

  /** A request that found its session gone was not executed: it is made again once, in a new session. */
  async #using<Result>(
    pool: Pool<Conversation>,
    acquire: () => Promise<Conversation>,
    use: (conversation: Conversation) => Promise<Result>,
  ): Promise<Result> {
    const conversation = await acquire()
    try {
      return await use(conversation)
    } catch (error) {
      if (!(error instanceof SessionGone)) throw error
      pool.drop(conversation)
      return use(await acquire())
    }
  }

  async #list(conversation: Conversation, signal: AbortSignal): Promise<Offer> {
    const { server } = this.#side
    const { capabilities, serverInfo, instructions, link } = conversation.peer
    const lists = await listAll({
      server,
      capabilities,
      page: async (method, params) => {
        const response = await link.request({ method, params, signal, maxBytes: LIST_LIMITS.pageBytes })
        return 'error' in response ? response.error : response
      },
    })
    this.#taskSupport.clear()
    for (const tool of lists.tools) this.#taskSupport.set(stringAt(tool, 'name') ?? '', taskSupportOf(tool))
    return { era: this.era, serverInfo, capabilities, ...(instructions !== undefined && { instructions }), ...lists }
  }
}
