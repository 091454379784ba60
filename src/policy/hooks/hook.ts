import { setTimeout as pause } from 'node:timers/promises'
import { ZodError, type ZodType } from 'zod'
import { createBreaker, type Breaker, type Egress, type EgressClient } from '#http'
import { Secret, type Clock } from '#kernel'
import { tlsOf } from './mutual-tls.ts'
import { hookScope, type HookScope } from './scope.ts'
import type { HookConfig, HookPoint } from './schema.ts'
import { SIGNATURE_HEADER, signBody } from './sign.ts'
import { healthAnswer, QUESTION_HEADER } from './wire.ts'

const MAX_ANSWER_BYTES = 33_554_432
const RETRY_PAUSE_MS = 50

export type HookState = {
  readonly state: 'unknown' | 'healthy' | 'degraded' | 'unhealthy' | 'unreachable'
  /** In words; empty when all is well. */
  readonly reason: string
}

export type HookDeps = { readonly egress: Egress; readonly clock: Clock }

/** A hook that can be asked: its connections, its scope and how it was when it was asked last. */
export class Hook {
  readonly config: HookConfig
  readonly covers: HookScope
  readonly #clock: Clock
  readonly #breaker: Breaker
  readonly #client: EgressClient
  readonly #token: Secret | null
  readonly #signingSecret: Secret | null
  #isProbing = false
  #state: HookState = { state: 'unknown', reason: 'it was not asked yet' }

  constructor(deps: HookDeps, config: HookConfig, { isTrusted }: { isTrusted: boolean }) {
    const { token, signing_secret: secret, client_key: _, ...rest } = config
    const tls = tlsOf(config)
    this.config = rest
    this.covers = hookScope(config)
    this.#clock = deps.clock
    this.#breaker = createBreaker(deps.clock, { threshold: 5, firstRestMs: 5_000, maxRestMs: 30_000 })
    this.#token = token === undefined ? null : new Secret(token)
    this.#signingSecret = secret === undefined ? null : new Secret(secret)
    const way = { trusted: isTrusted, allow: config.allow_addresses }
    this.#client = deps.egress.open(tls === null ? way : { ...way, tls })
  }

  get isSigned(): boolean {
    return this.#signingSecret !== null
  }

  get state(): HookState {
    return this.#state
  }

  /**
   * It failed several times in a row and did not answer the house either. One that has to agree is asked again only after
   * a rest. One that need not is asked each time: a rest would let everything pass that it was there to stop.
   */
  get isDown(): boolean {
    return this.#breaker.isOpen
  }

  /** What it says to this; rejects when it cannot be asked, or says something else than the contract knows. */
  async ask<Answer>({ point, body, as, signal, isQuestion }: Asking<Answer>): Promise<Answer> {
    if (this.config.failure === 'closed') this.#refuseWhileResting()
    const text = JSON.stringify(body)
    try {
      const answer = await this.#send({ method: 'POST', path: point, text, signal, isQuestion })
      const said = as.parse(answer)
      this.#breaker.succeeded()
      this.#state = { state: 'healthy', reason: '' }
      return said
    } catch (error) {
      // Whoever gave up waiting says nothing about the hook.
      if (!signal?.aborted) this.#failed(error, { isQuestion })
      throw error
    }
  }

  #refuseWhileResting(): void {
    const verdict = this.#breaker.check()
    if (verdict === 'allow') return
    const at = new Date(verdict.retryAt).toISOString()
    throw new Resting(
      `it failed several times in a row and is asked again at ${at}; the last time ${this.#state.reason}`,
    )
  }

  #failed(error: unknown, { isQuestion = false }: { isQuestion?: boolean | undefined }): void {
    this.#state = { state: 'unreachable', reason: whyNot(error) }
    if (isQuestion || !isOutage(error)) return
    this.#breaker.failed(null)
    if (this.#breaker.isSuspect && !this.#isProbing) void this.#probe()
  }

  /** What callers sent may be why it failed. Whether it is down, the house finds out with nothing of theirs. */
  async #probe(): Promise<void> {
    this.#isProbing = true
    try {
      const { status } = healthAnswer.parse(await this.#sendOnce({ method: 'GET', path: 'health' }))
      if (status === 'unhealthy') this.#breaker.foundDown()
      else this.#breaker.succeeded()
    } catch (error) {
      if (isOutage(error)) this.#breaker.foundDown()
      else this.#breaker.succeeded()
    } finally {
      this.#isProbing = false
    }
  }

  /** Asks how it is; never rejects. */
  async check(): Promise<HookState> {
    try {
      const { status } = healthAnswer.parse(await this.#send({ method: 'GET', path: 'health' }))
      if (status === 'healthy') this.#breaker.succeeded()
      this.#state = { state: status, reason: status === 'healthy' ? '' : `it says of itself that it is ${status}` }
    } catch (error) {
      this.#state = { state: 'unreachable', reason: whyNot(error) }
    }
    return this.#state
  }

  close(): Promise<void> {
    return this.#client.close()
  }

  async #send(sent: Sent): Promise<unknown> {
    for (let tries = 0; ; tries++) {
      const outcome = await this.#sendOnce(sent).catch(asUnanswered)
      if (!(outcome instanceof Unanswered)) return outcome
      const isLast = tries >= this.config.retries || this.isDown
      if (isLast || sent.signal?.aborted || !outcome.mayRetry) throw outcome
      await pause(RETRY_PAUSE_MS * 2 ** tries)
    }
  }

  async #sendOnce({ method, path, text = '', signal, isQuestion = false }: Sent): Promise<unknown> {
    const late = AbortSignal.timeout(this.config.timeout_ms)
    const { status, body } = await this.#client.request({
      url: `${this.config.url.replace(/\/+$/, '')}/${path}`,
      method,
      headers: {
        accept: 'application/json',
        ...(method === 'POST' ? { 'content-type': 'application/json' } : {}),
        ...(isQuestion ? { [QUESTION_HEADER]: 'explain' } : {}),
      },
      credentials: this.#credentials(text),
      ...(method === 'POST' ? { body: text } : {}),
      signal: signal === undefined ? late : AbortSignal.any([signal, late]),
      maxBytes: MAX_ANSWER_BYTES,
    })
    if (status >= 500) throw new Unanswered(`it answered with status ${status}`)
    if (REFUSALS.has(status)) throw new Unread(`it does not take what was sent (status ${status})`)
    if (status !== 200) throw new Unanswered(`it answered with status ${status}`, undefined, { mayRetry: false })
    return parseAnswer(body)
  }

  #credentials(body: string): Record<string, string> {
    const token = this.#token
    const secret = this.#signingSecret
    return {
      ...(token === null ? {} : { authorization: `Bearer ${token.reveal()}` }),
      ...(secret === null ? {} : { [SIGNATURE_HEADER]: signBody(secret, body, this.#clock.now()) }),
    }
  }
}

type Asking<Answer> = {
  readonly point: HookPoint
  readonly body: object
  readonly as: ZodType<Answer>
  readonly signal?: AbortSignal | undefined
  /** Somebody only wants to know: there is no call. */
  readonly isQuestion?: boolean | undefined
}
type Sent = Pick<Asking<unknown>, 'signal' | 'isQuestion'> & { method: 'GET' | 'POST'; path: string; text?: string }

/** It was not asked, as it has failed too often. */
export class Resting extends Error {
  override readonly name = 'Resting'
}

/** No answer that counts. Its words may be shown to admins, and hold nothing of the body. */
class Unanswered extends Error {
  override readonly name = 'Unanswered'
  readonly mayRetry: boolean

  constructor(message: string, cause?: unknown, { mayRetry = true }: { mayRetry?: boolean } = {}) {
    super(message, { cause })
    this.mayRetry = cause instanceof Unanswered ? cause.mayRetry : mayRetry
  }
}

/** It is there, and takes no such request: too large, or of a form that it cannot read. */
const REFUSALS: ReadonlySet<number> = new Set([400, 413, 414, 415, 422, 431])

/** What the caller sent is why it did not agree, so it is a no whatever the failure mode. */
export class Unread extends Error {
  override readonly name = 'Unread'
}

function asUnanswered(error: unknown): Unanswered {
  if (error instanceof Unread) throw error
  return new Unanswered(whyNot(error), error)
}

/** No answer at all, or one that says that it is out of order. Any other is an answer, if not one that helps. */
function isOutage(error: unknown): boolean {
  if (error instanceof Unanswered) return error.mayRetry
  return !(error instanceof Unread) && !(error instanceof ZodError)
}

function parseAnswer(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch (cause) {
    throw new Unanswered('it answered with something that is not JSON', cause, { mayRetry: false })
  }
}

export function whyNot(error: unknown): string {
  if (!(error instanceof Error)) return 'it could not be asked'
  switch (error.name) {
    case 'Unanswered':
    case 'Unread':
    case 'Resting':
    case 'Problem':
      return error.message
    case 'TimeoutError':
      return 'it did not answer in time'
    case 'ZodError':
      return 'its answer is not what the contract says'
    default:
      return `it could not be reached (${'code' in error ? String(error.code) : error.name})`
  }
}
