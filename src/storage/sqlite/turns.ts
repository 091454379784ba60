/** The right to use the one connection. `done` passes it on; a second `done` does nothing. */
export type Turn = { done(): void }

type Waiting = { start(turn: Turn): void }

const MAX_WAITING = 20_000
const MAX_WAIT_MS = 30_000

/** First come, first served. A wait has a deadline, so a query on `db` inside its own transaction fails instead of hanging. */
export class Turns {
  readonly #waiting = new Set<Waiting>()
  readonly #maxWaitMs: number
  #isTaken = false

  constructor(maxWaitMs = MAX_WAIT_MS) {
    this.#maxWaitMs = maxWaitMs
  }

  take(): Promise<Turn> {
    if (!this.#isTaken) return Promise.resolve(this.#start())
    if (this.#waiting.size >= MAX_WAITING) return Promise.reject(new Error('too many queries wait for the database'))
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        start: (turn) => {
          clearTimeout(deadline)
          resolve(turn)
        },
      }
      const deadline = setTimeout(() => {
        this.#waiting.delete(waiting)
        reject(
          new Error(
            `the database was busy for ${this.#maxWaitMs} ms; does a transaction wait for a query outside of it?`,
          ),
        )
      }, this.#maxWaitMs)
      this.#waiting.add(waiting)
    })
  }

  #start(): Turn {
    this.#isTaken = true
    let isDone = false
    return {
      done: () => {
        if (isDone) return
        isDone = true
        this.#passOn()
      },
    }
  }

  #passOn(): void {
    this.#isTaken = false
    const [next] = this.#waiting
    if (!next) return
    this.#waiting.delete(next)
    next.start(this.#start())
  }
}
