import { randomUUID } from 'node:crypto'
import { Problem } from '#kernel'
import { INPUT_EXPIRED, OVERLOADED } from '../../../problems.ts'

/** What waits for its caller to come back with answers. */
export type Parked<Held> = { readonly held: Held; readonly sessionKey: string }

type Place<Held> = Parked<Held> & { leg: number; isOut: boolean; timer: NodeJS.Timeout }

export const PARKED_MS = 600_000
export const MAX_PARKED = 10_000

/**
 * Where calls wait between legs. A state `<id>:<leg>` opens its place exactly once, for its own session only, and for
 * ten minutes; anything else is told the same, so that nobody learns what there is.
 */
export class Parking<Held> {
  readonly #places = new Map<string, Place<Held>>()
  readonly #dropped: (held: Held, reason: Problem) => void
  readonly #holdMs: number

  constructor(dropped: (held: Held, reason: Problem) => void, holdMs: number = PARKED_MS) {
    this.#dropped = dropped
    this.#holdMs = holdMs
  }

  get size(): number {
    return this.#places.size
  }

  /** Gives `held` a place, or its old place the next leg; refuses when too many wait. Returns the state to come back with. */
  park(held: Held, sessionKey: string, id: string = randomUUID()): string {
    const place = this.#places.get(id)
    if (place === undefined && this.#places.size >= MAX_PARKED) {
      const full = new Problem(
        OVERLOADED,
        `${MAX_PARKED} calls to this server already wait for their callers; try later`,
      )
      this.#dropped(held, full)
      throw full
    }
    const leg = (place?.leg ?? 0) + 1
    clearTimeout(place?.timer)
    const timer = setTimeout(() => this.#drop(id), this.#holdMs).unref()
    this.#places.set(id, { held, sessionKey, leg, isOut: false, timer })
    return `${id}:${leg}`
  }

  /** Takes what waits for this state out of its place; the place is kept for a next leg until `leave`. */
  take(state: string, sessionKey: string): { held: Held; id: string } {
    const [id = '', leg] = state.split(':')
    const place = this.#places.get(id)
    if (place === undefined || place.isOut || String(place.leg) !== leg || place.sessionKey !== sessionKey)
      throw expired()
    clearTimeout(place.timer)
    place.isOut = true
    return { held: place.held, id }
  }

  leave(id: string): void {
    clearTimeout(this.#places.get(id)?.timer)
    this.#places.delete(id)
  }

  dropSession(sessionKey?: string): void {
    for (const [id, place] of this.#places) {
      if (sessionKey === undefined || place.sessionKey === sessionKey) this.#drop(id)
    }
  }

  #drop(id: string): void {
    const place = this.#places.get(id)
    if (place === undefined) return
    this.leave(id)
    this.#dropped(place.held, expired())
  }
}

function expired(): Problem {
  return new Problem(INPUT_EXPIRED, 'this call no longer waits for an answer, or not for this one; make the call again')
}
