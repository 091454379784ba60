import { isProblem } from '#kernel'
import { UNREACHABLE } from '../../../problems.ts'
import type { RpcError } from '../../../source.ts'
import { exchange, type Headers, type Wire, type WireEnd } from './exchange.ts'
import { readRpcError, type Answer, type WireMessage } from './message.ts'

/** How one POST of a JSON-RPC request ended. Connection failures and aborts reject instead. */
export type PostEnd =
  | { readonly kind: 'answer'; readonly answer: Answer; readonly headers: Headers }
  /** A status of 4xx or 5xx, with the JSON-RPC error of its body if it had one. */
  | {
      readonly kind: 'refused'
      readonly status: number
      readonly headers: Headers
      readonly error: RpcError | undefined
    }
  /** The answer never came: the stream ended first, or there was no body. `lastEventId` is where it can be resumed. */
  | { readonly kind: 'unanswered'; readonly lastEventId: string | undefined; readonly retryMs: number | undefined }

export type Post = {
  readonly id: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly signal: AbortSignal
  readonly maxBytes?: number | undefined
  /** The connection broke after an event with an id: resume instead of giving up. */
  readonly isResumable?: boolean
  readonly url?: URL
  readonly verb?: 'POST' | 'GET'
  onMessage?(message: WireMessage): void
  onEventId?(id: string): void
}

/** A server may keep the stream open after its answer; it is not waited for longer than this. */
const LINGER_MS = 2_000

const ACCEPT = { accept: 'application/json, text/event-stream', 'content-type': 'application/json' }

/** Posts one request and waits for the answer with its id; all else that comes goes to `onMessage`. */
export function post(wire: Wire, request: Post): Promise<PostEnd> {
  return new Promise((resolve, reject) => {
    new PostWait(wire, request, { resolve, reject }).start()
  })
}

type Settle = { resolve(end: PostEnd): void; reject(error: unknown): void }

class PostWait {
  readonly #wire: Wire
  readonly #post: Post
  readonly #settle: Settle
  #close: ((reason: Error) => void) | undefined
  #headers: Headers = {}
  #answer: Answer | undefined
  #lastEventId: string | undefined
  #retryMs: number | undefined
  #linger: NodeJS.Timeout | undefined

  constructor(wire: Wire, request: Post, settle: Settle) {
    this.#wire = wire
    this.#post = request
    this.#settle = settle
  }

  start(): void {
    const { signal, headers, body, url, verb = 'POST', maxBytes } = this.#post
    if (signal.aborted) return this.#settle.reject(signal.reason)
    signal.addEventListener('abort', this.#abort, { once: true })
    const sent = verb === 'POST' ? { headers: { ...ACCEPT, ...headers }, body } : { headers }
    this.#close = exchange(
      this.#wire,
      { method: verb, ...sent, ...(url && { url }), ...(maxBytes && { maxBytes: () => maxBytes }) },
      this,
    )
  }

  opened(_status: number, headers: Headers): void {
    this.#headers = headers
  }

  event(event: { id: string | undefined }): void {
    if (event.id === undefined) return
    this.#lastEventId = event.id
    this.#post.onEventId?.(event.id)
  }

  retry(milliseconds: number): void {
    this.#retryMs = milliseconds
  }

  message(message: WireMessage): void {
    if (this.#answer !== undefined) return
    if (!isAnswerTo(message, this.#post.id)) return this.#post.onMessage?.(message)
    this.#answer = message
    this.#finish({ kind: 'answer', answer: message, headers: this.#headers })
    this.#linger = setTimeout(() => this.#close?.(new Error('answered')), LINGER_MS).unref()
  }

  ended(end: WireEnd): void {
    clearTimeout(this.#linger)
    if (this.#answer !== undefined) return
    const unanswered = { kind: 'unanswered', lastEventId: this.#lastEventId, retryMs: this.#retryMs } as const
    switch (end.kind) {
      case 'done':
        return this.#finish(unanswered)
      case 'refused':
        return this.#finish({ ...end, error: readRpcError(end.body) })
      case 'failed':
        if (this.#canResume(end.error)) return this.#finish(unanswered)
        this.#release()
        this.#settle.reject(end.error)
    }
  }

  #canResume(error: Error): boolean {
    if (this.#post.isResumable !== true || this.#lastEventId === undefined) return false
    return isProblem(error, UNREACHABLE) && !this.#post.signal.aborted
  }

  #finish(end: PostEnd): void {
    this.#release()
    this.#settle.resolve(end)
  }

  #release(): void {
    this.#post.signal.removeEventListener('abort', this.#abort)
  }

  readonly #abort = (): void => {
    const { reason } = this.#post.signal
    this.#close?.(reason instanceof Error ? reason : new Error('aborted', { cause: reason }))
  }
}

function isAnswerTo(message: WireMessage, id: number): message is Answer {
  if (message.kind === 'result') return message.id === id
  return message.kind === 'error' && (message.id === id || message.id === null)
}
