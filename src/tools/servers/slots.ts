import { Problem } from '#kernel'
import { CANCELLED, OVERLOADED } from '../problems.ts'

/**
 * Calls at once to one server. Who finds no slot waits in a short line with a deadline; a full line or a passed
 * deadline is a clear refusal, never an endless queue. No user can fill a server or its line alone: somebody who is
 * the only one leaves some slots free, and with others there gets half.
 */
export type Slots = {
  acquire(user: string, signal: AbortSignal): Promise<void> | null
  release(user: string): void
  readonly used: number
  readonly waiting: number
}

export type SlotsOptions = { server: string; max: number; maxWaiting: number; waitMs: number }

export function createSlots(options: SlotsOptions): Slots {
  return new SharedSlots(options)
}

/** How many of `max` one user may hold: half beside others, alone all but an eighth that waits for the next to come. */
export function shareOf(max: number, { hasOthers }: { hasOthers: boolean }): number {
  if (hasOthers) return Math.ceil(max / 2)
  return max - Math.floor(max / 8)
}

type Waiter = { readonly user: string; enter(): void }
type Count = { held: number; waiting: number }

class SharedSlots implements Slots {
  readonly #options: SlotsOptions
  readonly #line: Waiter[] = []
  /** Only who holds a slot or waits for one. */
  readonly #users = new Map<string, Count>()
  #used = 0

  constructor(options: SlotsOptions) {
    this.#options = options
  }

  get used(): number {
    return this.#used
  }

  get waiting(): number {
    return this.#line.length
  }

  acquire(user: string, signal: AbortSignal): Promise<void> | null {
    const { max, maxWaiting } = this.#options
    if (this.#mayEnter(user)) {
      this.#count(user, { held: 1 })
      return null
    }
    const waiting = this.#users.get(user)?.waiting ?? 0
    if (this.#line.length >= maxWaiting || waiting >= this.#shareOf(user, maxWaiting)) {
      throw overloaded(this.#options, this.#used < max)
    }
    return this.#wait(user, signal)
  }

  release(user: string): void {
    this.#count(user, { held: -1 })
    this.#letIn()
  }

  /** In the order of coming, except that nobody waits for a user who has their share. */
  #letIn(): void {
    for (;;) {
      const next = this.#line.find((waiter) => this.#mayEnter(waiter.user))
      if (next === undefined) return
      next.enter()
    }
  }

  #mayEnter(user: string): boolean {
    const { max } = this.#options
    return this.#used < max && (this.#users.get(user)?.held ?? 0) < this.#shareOf(user, max)
  }

  #shareOf(user: string, max: number): number {
    return shareOf(max, { hasOthers: this.#users.size > (this.#users.has(user) ? 1 : 0) })
  }

  #count(user: string, change: Partial<Count>): void {
    const { held, waiting } = this.#users.get(user) ?? { held: 0, waiting: 0 }
    const next = { held: held + (change.held ?? 0), waiting: waiting + (change.waiting ?? 0) }
    this.#used += change.held ?? 0
    if (next.held === 0 && next.waiting === 0) this.#users.delete(user)
    else this.#users.set(user, next)
  }

  #wait(user: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', abort)
        this.#line.splice(this.#line.indexOf(waiter), 1)
      }
      const giveUp = (problem: Problem): void => {
        leave()
        this.#count(user, { waiting: -1 })
        reject(problem)
        this.#letIn()
      }
      const enter = (): void => {
        leave()
        this.#count(user, { waiting: -1, held: 1 })
        resolve()
      }
      const abort = (): void => giveUp(new Problem(CANCELLED, 'The call was cancelled while it waited for its turn.'))
      const late = (): void => giveUp(overloaded(this.#options, this.#used < this.#options.max))
      const timer = setTimeout(late, this.#options.waitMs)
      const waiter = { user, enter }
      signal.addEventListener('abort', abort, { once: true })
      this.#line.push(waiter)
      this.#count(user, { waiting: 1 })
    })
  }
}

function overloaded({ server, max }: SlotsOptions, hasRoom: boolean): Problem {
  const whose = hasRoom ? 'as many of your calls as one user may have at once' : `${max} calls, its limit`
  return new Problem(
    OVERLOADED,
    `Server "${server}" already works on ${whose}. Try again in a moment, or raise max_concurrency.`,
  )
}
