import { isProblem, Problem } from '#kernel'
import { BROKEN_REPLY, CANCELLED, OVERLOADED, TIMED_OUT, TOO_LARGE } from '../../../problems.ts'
import { AdminDetail } from '../../../servers/reason.ts'
import { mostBytes, type LinkRequest, type LinkResponse } from '../link.ts'
import type { Incoming } from './messages.ts'

type Pending = {
  readonly maxBytes: number
  resolve(response: LinkResponse): void
  reject(problem: Problem): void
  settled(): void
}

type Deps = {
  readonly server: string
  readonly maxPending: number
  write(message: object): void
  /** What the program printed on its own account; goes on after a reason. */
  lastWords(): string
}

/** `stray`: it answers nothing we wait for. */
export type Receipt = 'taken' | 'stray'

/**
 * Requests and their answers over one byte pipe: ids, cancellation and the end of it all. Knows no process.
 * `write` hands a message to the pipe and throws a Problem when its queue is full.
 */
export class Conversation {
  readonly #deps: Deps
  readonly #pending = new Map<number, Pending>()
  #lastId = 0
  #ended: Problem | undefined

  constructor(deps: Deps) {
    this.#deps = deps
  }

  get pendingCount(): number {
    return this.#pending.size
  }

  /** What a line may have now: the most that one of those who wait takes, as it may be the answer to any. */
  get maxBytes(): number {
    return mostBytes(this.#pending.values())
  }

  /** Resolves with the response; rejects with a Problem when aborted, when too many wait, or when the link ends. */
  async request({ method, params, signal, maxBytes = Infinity }: LinkRequest): Promise<LinkResponse> {
    this.#mayStart(signal)
    const id = ++this.#lastId
    this.#deps.write({ jsonrpc: '2.0', id, method, params })
    return await new Promise((resolve, reject) => {
      const onAbort = (): void => this.#cancel(id, method, signal.reason)
      const settled = (): void => signal.removeEventListener('abort', onAbort)
      this.#pending.set(id, { maxBytes, resolve, reject, settled })
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** Sends what expects no answer. */
  send(message: object): void {
    if (this.#ended) throw this.#ended
    this.#deps.write({ jsonrpc: '2.0', ...message })
  }

  /** Gives an answer to whoever waits for it. */
  answer(incoming: Exclude<Incoming, { kind: 'message' | 'noise' }>): Receipt {
    const pending = this.#settle(incoming.id)
    if (pending === undefined) return 'stray'
    if (incoming.kind === 'response') pending.resolve(incoming.response)
    else
      pending.reject(new Problem(BROKEN_REPLY, `server "${this.#deps.server}" sent a broken answer: ${incoming.why}`))
    return 'taken'
  }

  /** Fails the one request whose answer was over the limit. */
  answerTooLarge(id: number, sizes: { bytes: number; maxBytes: number }): Receipt {
    const pending = this.#settle(id)
    const detail = `the answer of server "${this.#deps.server}" has ${sizes.bytes} bytes, more than its max_result_bytes ${sizes.maxBytes}`
    pending?.reject(new Problem(TOO_LARGE, detail))
    return pending === undefined ? 'stray' : 'taken'
  }

  /** Rejects everything that waits, and from now on everything that comes. */
  end(problem: Problem): void {
    this.#ended ??= problem
    for (const id of this.#pending.keys()) this.#settle(id)?.reject(problem)
  }

  #mayStart(signal: AbortSignal): void {
    if (this.#ended) throw this.#ended
    if (signal.aborted) throw this.#cancelled(signal.reason)
    if (this.#pending.size < this.#deps.maxPending) return
    const detail = `${this.#pending.size} calls already wait for server "${this.#deps.server}"; try again later`
    throw new Problem(OVERLOADED, detail)
  }

  #cancel(id: number, method: string, reason: unknown): void {
    const pending = this.#settle(id)
    if (pending === undefined) return
    pending.reject(this.#cancelled(reason))
    if (method === 'initialize') return // the one request that must not be cancelled (2025-11-25, cancellation)
    try {
      const params = { requestId: id, reason: 'the caller gave up' }
      this.#deps.write({ jsonrpc: '2.0', method: 'notifications/cancelled', params })
    } catch {
      // The queue is full: the server hears nothing of it, and its answer will be a stray one.
    }
  }

  /** By a deadline that says so, or by whoever called. What the program printed meanwhile is for admins only. */
  #cancelled(reason: unknown): Problem {
    const { server } = this.#deps
    if (!isProblem(reason, TIMED_OUT)) {
      return new Problem(CANCELLED, `the call to server "${server}" was cancelled`, { cause: reason })
    }
    const cause = new AdminDetail(`${reason.message}${this.#deps.lastWords()}`)
    return new Problem(TIMED_OUT, reason.message, { cause })
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    pending?.settled()
    return pending
  }
}
