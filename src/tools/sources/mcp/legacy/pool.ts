import { setTimeout as wait } from 'node:timers/promises'
import { Problem } from '#kernel'
import { OVERLOADED } from '../../../problems.ts'
import { shareOf } from '../../../slots.ts'

/** What a pool holds: something with a life of its own that can be ended. */
export type Pooled = {
  readonly key: string
  readonly isIdle: boolean
  readonly closed: Promise<string>
  end(): Promise<void>
}

type Slot<Held> = {
  readonly opening: Promise<Held>
  readonly owner: string | undefined
  conversation: Held | undefined
  lastUsedAt: number
}

/** For whom a session is: its key, and the user whose share it takes; nobody's where all users share it. */
export type Place = { readonly key: string; readonly owner: string | undefined }

export type PoolLimits = {
  readonly max: number
  readonly idleMs: number
  /** How long a newcomer to a full pool waits for a place. */
  readonly waitMs?: number
}

const WAIT_MS = { longest: 2_000, look: 20 } as const

/**
 * The upstream sessions of one server, one per key, opened at the first use. A session that nobody uses is closed
 * after a while, or at once when another needs its place; one that is in use never is, so a newcomer may have to wait.
 * No user can fill a pool alone: with many sessions or many sets of capabilities they still have one user's share.
 */
export class Pool<Held extends Pooled> {
  readonly #server: string
  readonly #limits: PoolLimits
  // In no order: a map that is reordered at each use keeps making new tables. Who was idle for longest is looked for.
  readonly #slots = new Map<string, Slot<Held>>()
  /** Sessions on their way out: they hold their place until they are gone, so a program never has one too many. */
  #leaving = 0
  /** Owners who wait for a place, once for each wait. */
  readonly #waiting: (string | undefined)[] = []
  #sweep: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(server: string, limits: PoolLimits) {
    this.#server = server
    this.#limits = limits
  }

  get size(): number {
    return this.#slots.size
  }

  conversations(): readonly Held[] {
    return [...this.#slots.values()].flatMap(({ conversation }) => conversation ?? [])
  }

  find(key: string): Held | undefined {
    return this.#slots.get(key)?.conversation
  }

  /** The conversation of this place; all who ask while it is being opened get the same one. */
  async acquire(place: Place, open: () => Promise<Held>): Promise<Held> {
    const { key } = place
    if (!this.#hasPlaceFor(place)) await this.#placeFor(place)
    const slot = this.#slots.get(key) ?? this.#add(place, open)
    slot.lastUsedAt = performance.now()
    return slot.conversation ?? slot.opening
  }

  /** Takes it out, if it is still the one that is held; whoever asks next opens a new one. */
  drop(conversation: Held): void {
    if (this.#slots.get(conversation.key)?.conversation === conversation) this.#remove(conversation.key)
  }

  async end(key: string): Promise<void> {
    const slot = this.#slots.get(key)
    if (slot === undefined) return
    this.#remove(key)
    this.#leaving += 1
    await slot.opening.then((conversation) => conversation.end()).catch(() => undefined)
    this.#leaving -= 1
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#slots.keys()].map((key) => this.end(key)))
  }

  #add({ key, owner }: Place, open: () => Promise<Held>): Slot<Held> {
    const slot: Slot<Held> = { opening: open(), owner, conversation: undefined, lastUsedAt: 0 }
    this.#slots.set(key, slot)
    slot.opening.then(
      (conversation) => {
        slot.conversation = conversation
        void conversation.closed.then(() => this.drop(conversation))
      },
      () => {
        if (this.#slots.get(key) === slot) this.#remove(key)
      },
    )
    const { idleMs } = this.#limits
    this.#sweep ??= setInterval(() => this.#closeIdle(), Math.max(10, Math.min(idleMs / 4, 30_000))).unref()
    return slot
  }

  /** When there is none, an idle session is asked to leave, one at a time. */
  #hasPlaceFor({ key, owner }: Place): boolean {
    if (this.#slots.has(key)) return true
    const hasShare = owner === undefined || this.#heldBy(owner) < this.#shareOf(owner)
    if (hasShare && this.#slots.size + this.#leaving < this.#limits.max) return true
    if (this.#leaving > 0) return false
    const idle = hasShare ? (this.#idle((slot) => this.#isOverShare(slot)) ?? this.#idle()) : this.#idle(ownedBy(owner))
    if (idle !== undefined) void this.end(idle)
    return false
  }

  /** The key of the longest idle session of these. */
  #idle(is: (slot: Slot<Held>) => boolean = () => true): string | undefined {
    let found: { readonly key: string; readonly slot: Slot<Held> } | undefined
    for (const [key, slot] of this.#slots) {
      if (found !== undefined && found.slot.lastUsedAt <= slot.lastUsedAt) continue
      if (slot.conversation?.isIdle === true && is(slot)) found = { key, slot }
    }
    return found?.key
  }

  #isOverShare({ owner }: Slot<Held>): boolean {
    return owner !== undefined && this.#heldBy(owner) > this.#shareOf(owner)
  }

  #heldBy(owner: string): number {
    return this.#slots.values().reduce((sum, slot) => (slot.owner === owner ? sum + 1 : sum), 0)
  }

  #shareOf(owner: string): number {
    const isOther = (other: string | undefined): boolean => other !== undefined && other !== owner
    const hasOthers = this.#waiting.some(isOther) || this.#slots.values().some((slot) => isOther(slot.owner))
    return shareOf(this.#limits.max, { hasOthers })
  }

  /** Places come and go by themselves; refuses when the time is over, or nobody will be served here any more. */
  async #placeFor(place: Place): Promise<void> {
    const until = performance.now() + (this.#limits.waitMs ?? WAIT_MS.longest)
    this.#waiting.push(place.owner)
    try {
      do {
        if (performance.now() < until) await wait(WAIT_MS.look)
        if (performance.now() >= until || this.#isClosed) throw this.#isFull(place)
      } while (!this.#hasPlaceFor(place))
    } finally {
      this.#waiting.splice(this.#waiting.indexOf(place.owner), 1)
    }
  }

  #isFull({ owner }: Place): Problem {
    const { max } = this.#limits
    const hasRoom = this.#slots.size + this.#leaving < max
    const held = hasRoom && owner !== undefined ? `${this.#heldBy(owner)} sessions of this user` : `${max} sessions`
    const detail = `server "${this.#server}" already holds ${held}, all in use; try again later`
    return new Problem(OVERLOADED, detail)
  }

  #closeIdle(): void {
    const before = performance.now() - this.#limits.idleMs
    for (const [key, { conversation, lastUsedAt }] of this.#slots) {
      if (lastUsedAt <= before && conversation?.isIdle === true) void this.end(key)
    }
  }

  #remove(key: string): void {
    this.#slots.delete(key)
    if (this.#slots.size > 0) return
    clearInterval(this.#sweep)
    this.#sweep = undefined
  }
}

function ownedBy(owner: string | undefined): (slot: { readonly owner: string | undefined }) => boolean {
  return (slot) => slot.owner === owner
}
