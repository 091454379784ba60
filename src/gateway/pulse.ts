import type { Clock } from '#kernel'

/** Something with a deadline: it is told the time about once a second until it is removed. */
export type Beating = { beat(now: number): void }

/** One timer for all deadlines of the face; it runs only while something waits. */
export class Pulse {
  readonly #clock: Clock
  readonly #periodMs: number
  readonly #members = new Set<Beating>()
  #timer: NodeJS.Timeout | undefined

  constructor(clock: Clock, shortestWaitMs: number) {
    this.#clock = clock
    this.#periodMs = Math.min(1000, Math.max(5, shortestWaitMs / 4))
  }

  add(member: Beating): void {
    this.#members.add(member)
    this.#timer ??= setInterval(() => this.beat(), this.#periodMs).unref()
  }

  remove(member: Beating): void {
    this.#members.delete(member)
  }

  /** Tells everyone the time now. Stops the timer when nobody is left, one period later than strictly needed. */
  beat(): void {
    if (this.#members.size === 0) return this.close()
    const now = this.#clock.now()
    for (const member of this.#members) member.beat(now)
  }

  get size(): number {
    return this.#members.size
  }

  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
