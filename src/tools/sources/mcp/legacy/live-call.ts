import { isJsonObject, Problem, type JsonObject } from '#kernel'
import { CANCELLED } from '../../../problems.ts'
import type { AskRequest, CallerPort, CallerSession, RpcError, SourceCall } from '../../../source.ts'
import { objectAt, without } from '../json.ts'
import type { LinkResponse, ServerMessage } from '../link.ts'
import { relayNotification } from '../relay.ts'
import { CallWatch } from '../watch.ts'

/** How one leg of a call ended: the server answered, or it asks something first. Failures throw. */
export type LegEnd = { readonly kind: 'answered'; readonly response: LinkResponse } | { readonly kind: 'asked' }

type Ask = {
  readonly rpcId: string | number
  readonly request: AskRequest
  readonly respond: Respond
}
export type Respond = (answer: { result: JsonObject } | { error: RpcError }) => void

type Outcome = { readonly response: LinkResponse } | { readonly failure: unknown }

/**
 * One request that a server is working on, over all the legs in which its caller comes for it. When the server asks
 * something, the leg ends with the questions and the request stays open ("parked") until the next leg brings answers:
 * the server sees exactly one call.
 */
export class LiveCall {
  readonly caller: CallerSession
  /** Our own progress token: the caller's never goes upstream. */
  readonly token: number
  readonly watch: CallWatch
  /** The server's task that this call became, if it did. */
  taskId: string | undefined
  /** What the server asked for although the caller never declared it; it was refused. */
  lacked: JsonObject | undefined
  readonly #asks = new Map<string, Ask>()
  #askCount = 0
  #unheardProgress: JsonObject | undefined
  #outcome: Outcome | undefined
  #leg: { readonly port: CallerPort; readonly call: SourceCall } | undefined
  #wake: (() => void) | undefined
  #isFlushing = false

  constructor(live: { caller: CallerSession; token: number; server: string; silenceMs: number }) {
    this.caller = live.caller
    this.token = live.token
    this.watch = new CallWatch(live)
  }

  get isOver(): boolean {
    return this.#outcome !== undefined
  }

  /** Binds the call to the request that carries it. */
  carry(request: Promise<LinkResponse>): void {
    request.then(
      (response) => this.#settle({ response }),
      (failure: unknown) => this.#settle({ failure }),
    )
  }

  /** Waits until the server answers or asks. Answers that the leg brought must have been given before. */
  async leg(call: SourceCall, port: CallerPort): Promise<LegEnd> {
    this.#leg = { call, port }
    this.watch.resume(call.signal)
    const unheard = this.#unheardProgress
    this.#unheardProgress = undefined
    if (unheard !== undefined) this.hear(PROGRESS, unheard)
    if (this.#asks.size > 0) this.#flush()
    if (this.#outcome === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    this.#wake = undefined
    this.#leg = undefined
    if (this.#outcome === undefined) return this.#pause(call)
    this.watch.pause()
    if ('failure' in this.#outcome) throw this.#outcome.failure
    return { kind: 'answered', response: this.#outcome.response }
  }

  /** What the server wants to know and was not told yet. */
  questions(): Readonly<Record<string, AskRequest>> {
    return Object.fromEntries([...this.#asks].map(([key, { request }]) => [key, request]))
  }

  /** Waits, while no leg does, until there is a question, the call is over, or the time is up. */
  async question(milliseconds: number): Promise<void> {
    if (this.isOver || this.#asks.size > 0) return
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      timer = setTimeout(resolve, milliseconds)
    })
    clearTimeout(timer)
  }

  /** Hands the caller's answers to the server; what is missing stays asked. */
  answer(responses: JsonObject): void {
    for (const [key, ask] of this.#asks) {
      const response = responses[key]
      if (!isJsonObject(response)) continue
      this.#asks.delete(key)
      ask.respond({ result: without(response, 'resultType') })
    }
  }

  ask({ id, method, params }: ServerMessage & { readonly id: string | number }, respond: Respond): void {
    this.watch.touch()
    if (this.isOver) return respond({ error: CALL_IS_OVER })
    if (this.#asks.size >= MAX_ASKS) return respond({ error: TOO_MANY_ASKS })
    this.#askCount += 1
    this.#asks.set(`ask-${this.#askCount}`, { rpcId: id, request: this.#toAsk(method, params), respond })
    this.#flush()
  }

  /** The server took a question back. */
  withdraw(rpcId: unknown): void {
    for (const [key, ask] of this.#asks) if (ask.rpcId === rpcId) this.#asks.delete(key)
  }

  /** A notification for this call. While nobody waits it is dropped, but for how far the call has come. */
  hear(method: string, params: JsonObject): void {
    this.watch.touch()
    const leg = this.#leg
    if (leg === undefined) {
      if (method === PROGRESS) this.#unheardProgress = params
      return
    }
    const token = leg.call.wantsProgress ? this.token : undefined
    relayNotification({ method, params }, leg.port, { token, logLevel: leg.call.logLevel })
  }

  /** Ends the call from our side; the server is told. */
  abort(reason: Error): void {
    this.watch.abort(reason)
  }

  #pause(call: SourceCall): LegEnd {
    this.watch.pause()
    // A session-era caller keeps one request open over all legs, so its cancellation still counts.
    if (this.caller.era === 'legacy') this.watch.follow(call.signal)
    return { kind: 'asked' }
  }

  #settle(outcome: Outcome): void {
    if (this.#outcome !== undefined) return
    this.#outcome = outcome
    for (const ask of this.#asks.values()) ask.respond({ error: CALL_IS_OVER })
    this.#asks.clear()
    this.#wake?.()
  }

  /** Questions that arrive within one turn of the event loop go to the caller together. */
  #flush(): void {
    if (this.#isFlushing) return
    this.#isFlushing = true
    setImmediate(() => {
      this.#isFlushing = false
      if (this.#asks.size > 0) this.#wake?.()
    })
  }

  /** Tokens and task ids are between the server and us; the modern era has no ids of elicitations. */
  #toAsk(method: string, params: JsonObject): AskRequest {
    const meta = without(objectAt(params, '_meta'), 'progressToken', 'io.modelcontextprotocol/related-task')
    const plain = without(params, '_meta', ...(this.caller.era === 'modern' ? ['elicitationId'] : []))
    const kept = Object.keys(meta).length === 0 ? plain : { ...plain, _meta: meta }
    return Object.keys(kept).length === 0 ? { method } : { method, params: kept }
  }
}

/** Questions of one call that wait at once. */
const MAX_ASKS = 32
const TOO_MANY_ASKS: RpcError = { code: -32000, message: 'too many questions of this call wait for an answer' }
const PROGRESS = 'notifications/progress'
const CALL_IS_OVER: RpcError = { code: -32000, message: 'the call that this belonged to is over' }

/** What everything that is still open in a session ends with. */
export function sessionEnded(server: string): Problem {
  return new Problem(CANCELLED, `the session in which server "${server}" was called has ended`)
}
