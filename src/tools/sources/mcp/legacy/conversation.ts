import { isJsonObject, type JsonObject } from '#kernel'
import { moreVerbose } from '../../../log-level.ts'
import type { CallerSession, FollowedTask, Identify, ResourceSubscription, SourceCall } from '../../../source.ts'
import type { Log } from '#telemetry'
import { deadline } from '../deadline.ts'
import { objectAt, stringAt } from '../json.ts'
import type { Link, LinkResponse, ServerMessage } from '../link.ts'
import { brokenReply } from '../reasons.ts'
import { capabilityFor, refusalOf } from './capabilities.ts'
import type { Introduced } from './handshake.ts'
import { LiveCall, type Respond } from './live-call.ts'
import { asTask, createdTask, lookEveryMs, relatedTask } from './tasks.ts'

const SMALL_REQUEST_MS = 10_000
/** Questions outside any call that wait at once; each holds memory here and at the client. */
const MAX_OUTSIDE_ASKS = 16
/** Before the handshake a server may send a ping, and nothing else that wants an answer (2025-11-25 basic/lifecycle). */
const MAX_EARLY_REQUESTS = 8
const OUTSIDE_ASK_MS = 600_000

/**
 * One upstream session of a server of the session era: the calls that run on it, and to whom among its callers each
 * message of the server belongs. Where that cannot be told for certain, nobody gets it.
 */
export class Conversation {
  readonly key: string
  onIdle: (() => void) | undefined
  readonly #server: string
  readonly #log: Log
  readonly #onListChanged: () => void
  /** In the order in which they began. Not a set: its old tables would keep calls alive that are long over. */
  readonly #calls: LiveCall[] = []
  readonly #callers = new Map<string, CallerSession>()
  readonly #followers = new Map<string, Set<ResourceSubscription>>()
  readonly #followedTasks = new Set<FollowedTask>()
  readonly #outsideAsks = new Map<string | number, AbortController>()
  #peer: Introduced | undefined
  /** What the server asked before it had introduced itself: it is answered once there is a link to answer on. */
  readonly #early: (() => void)[] = []
  #identity: Identify | undefined
  #level: string | undefined
  #nextToken = 0
  #isEnded = false

  constructor(talk: {
    key: string
    server: string
    log: Log
    identity: Identify | undefined
    onListChanged: () => void
  }) {
    this.key = talk.key
    this.#server = talk.server
    this.#log = talk.log
    this.#identity = talk.identity
    this.#onListChanged = talk.onListChanged
  }

  /** Must be called once, before anything but `receive`. */
  begin(peer: Introduced): void {
    this.#peer = peer
    for (const receive of this.#early.splice(0)) receive()
  }

  get peer(): Introduced {
    if (this.#peer === undefined) throw new Error('the conversation has not begun')
    return this.#peer
  }

  /** Whose it is, as they last called: for what belongs to no request. Only where one caller has it for themselves. */
  get identity(): Identify | undefined {
    const first = this.#identity
    return first && (() => (this.#identity ?? first)())
  }

  get link(): Link {
    return this.peer.link
  }

  get closed(): Promise<string> {
    return this.link.closed
  }

  get isIdle(): boolean {
    return this.#calls.length === 0 && this.#followers.size === 0 && this.#followedTasks.size === 0
  }

  get callCount(): number {
    return this.#calls.length
  }

  get subscriptionCount(): number {
    return this.#followers.values().reduce((sum, followers) => sum + followers.size, this.#followedTasks.size)
  }

  /** True once we closed it ourselves. */
  get isEnded(): boolean {
    return this.#isEnded
  }

  async end(): Promise<void> {
    this.#isEnded = true
    await this.link.close()
  }

  hasCaller(sessionKey: string): boolean {
    return this.#callers.has(sessionKey)
  }

  /** A caller may use this conversation from now on. */
  join(caller: CallerSession, identity: Identify | undefined): void {
    this.#callers.set(caller.key, caller)
    if (identity !== undefined) this.#identity = identity
  }

  /** Ends what one caller has here; the conversation goes on for others. */
  async part(sessionKey: string, reason: Error): Promise<void> {
    this.#callers.delete(sessionKey)
    for (const live of this.#calls) if (live.caller.key === sessionKey) live.abort(reason)
    const theirs = [...this.#followers.values()].flatMap((set) => [...set].filter((f) => f.session.key === sessionKey))
    for (const task of this.#followedTasks) if (task.session.key === sessionKey) this.unfollowTask(task)
    await Promise.all(theirs.map((follower) => this.unfollow(follower)))
  }

  /** Starts a request for a caller. With `task`, the server runs it as one, and its result is waited for. */
  async startCall(call: SourceCall, as: 'request' | 'task' = 'request'): Promise<LiveCall> {
    if (call.logLevel !== undefined) await this.#raiseLevel(call.logLevel, call.signal)
    const live = this.#newCall(call)
    live.watch.resume(call.signal)
    const params = as === 'task' ? asTask(call) : call.params
    const meta = {
      ...objectAt(params, '_meta'),
      ...call.trace,
      ...(call.wantsProgress && { progressToken: live.token }),
    }
    const sent = Object.keys(meta).length === 0 ? params : { ...params, _meta: meta }
    const request = this.#request(live, call, { method: call.method, params: sent })
    this.#carry(live, as === 'task' ? this.#untilTaskEnds(live, call, request) : request)
    return live
  }

  /** Waits for the result of a caller's task, only to hear what the server asks meanwhile. */
  watchTask(call: SourceCall, taskId: string): LiveCall {
    const live = this.#newCall(call)
    live.taskId = taskId
    this.#carry(live, this.#request(live, call, { method: 'tasks/result', params: { taskId } }))
    return live
  }

  /** A small request on behalf of a call, that nothing else belongs to. */
  async ask(call: SourceCall, { method, params }: { method: string; params: JsonObject }): Promise<LinkResponse> {
    const live = this.#newCall(call)
    live.watch.resume(call.signal)
    try {
      return await this.link.request({ method, params, signal: live.watch.signal, identity: call.identity })
    } finally {
      live.watch.pause()
    }
  }

  /** A message of the server; `live` is the call on whose own stream it came, if it came on one. */
  receive(message: ServerMessage, live?: LiveCall): void {
    const { id, method, params } = message
    if (id !== undefined) return this.#receiveRequest({ id, method, params }, live)
    switch (method) {
      case 'notifications/progress':
        return (live ?? this.#callWithToken(params['progressToken']))?.hear(method, params)
      case 'notifications/cancelled':
        return this.#withdraw(params['requestId'])
      case 'notifications/resources/updated':
        return this.#tellFollowers(params)
      case 'notifications/tasks/status':
        return this.#tellOfTask(params['taskId'])
      case 'notifications/tools/list_changed':
      case 'notifications/prompts/list_changed':
      case 'notifications/resources/list_changed':
        return this.#onListChanged()
      default:
        return this.#receiveOther(message, live)
    }
  }

  async follow(follower: ResourceSubscription, signal: AbortSignal): Promise<void> {
    const { uri, identity } = follower
    const followers = this.#followers.get(uri) ?? new Set()
    this.#followers.set(uri, followers)
    followers.add(follower)
    if (followers.size > 1) return
    try {
      const response = await this.link.request({ method: 'resources/subscribe', params: { uri }, signal, identity })
      if ('error' in response)
        throw brokenReply(this.#server, `does not let ${uri} be followed: ${response.error.message}`)
    } catch (error) {
      this.#forget(follower)
      throw error
    }
  }

  async unfollow(follower: ResourceSubscription): Promise<void> {
    if (this.#forget(follower) !== 'last') return
    const signal = deadline(this.#server, SMALL_REQUEST_MS)
    const { uri, identity } = follower
    const unsubscribe = { method: 'resources/unsubscribe', params: { uri }, signal, identity }
    await this.link.request(unsubscribe).catch((error: unknown) => {
      this.#log.debug({ server: this.#server, reason: String(error) }, 'a resource could not be unfollowed')
    })
  }

  followers(): readonly ResourceSubscription[] {
    return [...this.#followers.values()].flatMap((set) => [...set])
  }

  /** Nothing has to be asked for: a server of this era tells of its tasks by itself, or never. */
  followTask(task: FollowedTask): void {
    this.#followedTasks.add(task)
  }

  unfollowTask(task: FollowedTask): void {
    if (this.#followedTasks.delete(task)) this.#mayBeIdle()
  }

  followedTasks(): readonly FollowedTask[] {
    return [...this.#followedTasks]
  }

  async announce(method: string, params: JsonObject): Promise<void> {
    if (method === 'logging/setLevel')
      return this.#setLevel(stringAt(params, 'level') ?? 'info', deadline(this.#server, SMALL_REQUEST_MS))
    await this.link.send({ method, params })
  }

  #newCall(call: SourceCall): LiveCall {
    this.#nextToken += 1
    const token = this.#nextToken
    return new LiveCall({ caller: call.session, token, server: this.#server, silenceMs: call.timeoutMs })
  }

  #carry(live: LiveCall, request: Promise<LinkResponse>): void {
    this.#calls.push(live)
    live.carry(
      request.finally(() => {
        this.#calls.splice(this.#calls.indexOf(live), 1)
        this.#mayBeIdle()
      }),
    )
  }

  #mayBeIdle(): void {
    if (this.isIdle) this.onIdle?.()
  }

  #request(
    live: LiveCall,
    { identity }: SourceCall,
    { method, params }: { method: string; params: JsonObject },
  ): Promise<LinkResponse> {
    const { signal } = live.watch
    const onMessage = (message: ServerMessage) => this.receive(message, live)
    return this.link.request({ method, params, signal, identity, onMessage })
  }

  /** A task that is under way is a sign of life; one that nobody waits for any more is cancelled. */
  async #untilTaskEnds(live: LiveCall, call: SourceCall, created: Promise<LinkResponse>): Promise<LinkResponse> {
    const response = await created
    const task = createdTask(this.#server, response)
    if (task === undefined) return response
    const params = { taskId: stringAt(task, 'taskId') }
    live.taskId = params.taskId
    const { signal } = live.watch
    const { identity } = call
    const look = () =>
      this.link.request({ method: 'tasks/get', params, signal, identity }).then(() => live.watch.touch())
    const looking = setInterval(() => void look().catch(() => undefined), lookEveryMs(task))
    try {
      return await this.#request(live, call, { method: 'tasks/result', params })
    } catch (error) {
      const cancel = { method: 'tasks/cancel', params, signal: deadline(this.#server, SMALL_REQUEST_MS), identity }
      void this.link.request(cancel).catch(() => undefined)
      throw error
    } finally {
      clearInterval(looking)
    }
  }

  #forget(follower: ResourceSubscription): 'last' | 'others-follow' | 'unknown' {
    const followers = this.#followers.get(follower.uri)
    if (followers?.delete(follower) !== true) return 'unknown'
    if (followers.size > 0) return 'others-follow'
    this.#followers.delete(follower.uri)
    this.#mayBeIdle()
    return 'last'
  }

  #receiveRequest(request: ServerMessage & { readonly id: string | number }, own: LiveCall | undefined): void {
    if (this.#peer === undefined) return this.#keepEarly(() => this.#receiveRequest(request, own))
    const { id, method, params } = request
    const respond: Respond = (answer) => {
      this.link.send({ id, ...answer }).catch((error: unknown) => {
        this.#log.warn({ server: this.#server, reason: String(error) }, 'an answer could not be delivered to a server')
      })
    }
    if (method === 'ping') return respond({ result: {} })
    const live = own ?? this.#callThatMeans(method, params)
    const caller = live?.caller ?? this.#onlyCaller()
    const refusal = refusalOf(caller?.clientCapabilities ?? {}, method, params)
    if (refusal !== undefined) {
      if (live !== undefined) live.lacked ??= capabilityFor(method, params)
      return respond({ error: refusal })
    }
    if (live !== undefined) return live.ask(request, respond)
    void this.#askOutside(request, caller, respond)
  }

  #keepEarly(receive: () => void): void {
    if (this.#early.length < MAX_EARLY_REQUESTS) this.#early.push(receive)
  }

  async #askOutside(
    { id, method, params }: ServerMessage & { readonly id: string | number },
    caller: CallerSession | undefined,
    respond: Respond,
  ): Promise<void> {
    const outside = caller?.outside
    if (outside === undefined)
      return respond({ error: { code: -32000, message: 'nobody can be asked outside a call' } })
    if (this.#outsideAsks.size >= MAX_OUTSIDE_ASKS)
      return respond({ error: { code: -32000, message: 'too many questions wait for an answer' } })
    const withdrawn = new AbortController()
    this.#outsideAsks.set(id, withdrawn)
    try {
      const signal = AbortSignal.any([withdrawn.signal, AbortSignal.timeout(OUTSIDE_ASK_MS)])
      const result = await outside.ask(method, params, signal)
      if (!withdrawn.signal.aborted) respond({ result })
    } catch {
      // Whatever the client's side failed with is not for the server to read.
      if (!withdrawn.signal.aborted) respond({ error: { code: -32000, message: 'the client could not be asked' } })
    } finally {
      this.#outsideAsks.delete(id)
    }
  }

  /** A question that came on no call's stream: certain with one call in flight, the latest able one of a sole caller. */
  #callThatMeans(method: string, params: JsonObject): LiveCall | undefined {
    const calls = [...this.#calls]
    const taskId = relatedTask(params)
    const ofTask = taskId === undefined ? undefined : calls.find((live) => live.taskId === taskId)
    if (ofTask !== undefined) return ofTask
    if (calls.length <= 1) return calls[0]
    if (new Set(calls.map((live) => live.caller.key)).size > 1) return undefined
    return calls.findLast((live) => refusalOf(live.caller.clientCapabilities, method, params) === undefined)
  }

  #receiveOther({ method, params }: ServerMessage, own: LiveCall | undefined): void {
    const live = own ?? (this.#calls.length === 1 ? this.#calls[0] : undefined)
    const isMessage = method === 'notifications/message'
    if (own !== undefined || (live !== undefined && isMessage)) return live?.hear(method, params)
    this.#onlyCaller()?.outside?.notify(method, params)
  }

  #onlyCaller(): CallerSession | undefined {
    return this.#callers.size === 1 ? [...this.#callers.values()][0] : undefined
  }

  #callWithToken(token: unknown): LiveCall | undefined {
    for (const live of this.#calls) if (live.token === token) return live
    return undefined
  }

  #withdraw(rpcId: unknown): void {
    for (const live of this.#calls) live.withdraw(rpcId)
    if (typeof rpcId === 'string' || typeof rpcId === 'number') this.#outsideAsks.get(rpcId)?.abort()
  }

  #tellFollowers(params: JsonObject): void {
    for (const follower of this.#followers.get(stringAt(params, 'uri') ?? '') ?? []) follower.onUpdated(params)
  }

  #tellOfTask(taskId: unknown): void {
    for (const task of this.#followedTasks) if (task.taskId === taskId) task.onChanged()
  }

  async #raiseLevel(wanted: string, signal: AbortSignal): Promise<void> {
    const level = moreVerbose(this.#level, wanted)
    if (level === this.#level || !isJsonObject(this.peer.capabilities['logging'])) return
    await this.#setLevel(level, signal)
  }

  async #setLevel(level: string, signal: AbortSignal): Promise<void> {
    const before = this.#level
    this.#level = level
    const response = await this.link.request({ method: 'logging/setLevel', params: { level }, signal })
    if ('error' in response) this.#level = before
  }
}
