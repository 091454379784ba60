import type { Clock } from '#kernel'

/** Something with a deadline: it is told the time about once a second until it is removed. */
export type Beating = {
  beat(now: number): void
  /** Where the pulse keeps it; -1 or nothing when it does not. Nobody else's business. */
  place?: number
}

/** One timer for all deadlines of the face; it runs only while something waits. */
export class Pulse {
  readonly #clock: Clock
  readonly #periodMs: number
  // Not a Set: one that changes with every call leaves a trail of old tables, each of which keeps the next one and the
  // calls in it from being collected young.
  readonly #members: Beating[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(clock: Clock, shortestWaitMs: number) {
    this.#clock = clock
    this.#periodMs = Math.min(1000, Math.max(5, shortestWaitMs / 4))
  }

  add(member: Beating): void {
    if ((member.place ?? -1) < 0) member.place = this.#members.push(member) - 1
    this.#timer ??= setInterval(() => this.beat(), this.#periodMs).unref()
  }

  remove(member: Beating): void {
    const { place = -1 } = member
    const last = place < 0 ? undefined : this.#members.pop()
    if (last === undefined) return
    if (last !== member) {
      this.#members[place] = last
      last.place = place
    }
    member.place = -1
  }

  /** Tells everyone the time now. Stops the timer when nobody is left, one period later than strictly needed. */
  beat(): void {
    if (this.#members.length === 0) return this.close()
    const now = this.#clock.now()
    // Backwards, so that members may remove themselves; one that moves into their place was told already.
    for (let at = this.#members.length - 1; at >= 0; at -= 1) this.#members[at]?.beat(now)
  }

  get size(): number {
    return this.#members.length
  }

  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
