import { Worker } from 'node:worker_threads'
import { Turns, type Turn } from './turns.ts'
import type { NumberedRequest, Reply, Request, Result, WorkerStart } from './messages.ts'

type Waiting = { resolve(result: Result): void; reject(error: Error): void }

/**
 * The house's end of the SQLite worker. Whoever holds the turn has the connection alone: a transaction keeps it
 * from begin to commit. After the worker died every request is refused with the reason.
 */
export class SqliteClient {
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  readonly #turns = new Turns()
  readonly #gone: Promise<void>
  #number = 0
  #closed: Error | undefined

  constructor(start: WorkerStart) {
    this.#worker = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData: start,
      execArgv: [],
      name: 'sqlite',
    })
    this.#worker.on('message', (reply: Reply) => this.#settle(reply))
    this.#worker.on('error', (error) => this.#giveUp(new Error('the SQLite thread failed', { cause: error })))
    this.#gone = new Promise((resolve) => {
      this.#worker.on('exit', () => {
        this.#giveUp(new Error('the SQLite database is closed'))
        resolve()
      })
    })
  }

  /** Waits until nobody else has the connection. Give the turn back with `turn.done()`. */
  takeTurn(): Promise<Turn> {
    return this.#turns.take()
  }

  /** Sends one request; only whoever holds the turn may. */
  ask(request: Request): Promise<Result> {
    if (this.#closed) return Promise.reject(this.#closed)
    const number = this.#number++
    const message: NumberedRequest = { number, request }
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject })
      this.#worker.postMessage(message)
    })
  }

  /** Finishes what was asked before, then closes the file and ends the thread. May be called twice. */
  async close(): Promise<void> {
    if (this.#closed) return this.#gone
    const turn = await this.#turns.take()
    try {
      if (!this.#closed) await this.ask({ kind: 'close' })
    } finally {
      turn.done()
    }
    await this.#gone
  }

  #settle(reply: Reply): void {
    const waiting = this.#waiting.get(reply.number)
    this.#waiting.delete(reply.number)
    if (reply.ok) waiting?.resolve(reply.result)
    else waiting?.reject(Object.assign(new Error(reply.message), { code: reply.code }))
  }

  #giveUp(error: Error): void {
    this.#closed ??= error
    for (const waiting of this.#waiting.values()) waiting.reject(this.#closed)
    this.#waiting.clear()
  }
}
