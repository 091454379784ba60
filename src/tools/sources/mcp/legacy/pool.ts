import { Problem } from '#kernel'
import { CANCELLED, OVERLOADED } from '../../../problems.ts'
import { shareOf } from '../../../servers/slots.ts'

/** What a pool holds: something with a life of its own that can be ended. */
export type Pooled = {
  readonly key: string
  readonly isIdle: boolean
  /** Set by the pool: to be called when it falls idle. */
  onIdle?: (() => void) | undefined
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

const WAIT_MS = 2_000
/** Who waits holds a request of a client; more than these are refused at once. */
const MAX_WAITING = 1_000
/** A session whose caller went away before using it falls idle unheard: that is looked for while somebody waits. */
const LOOK_MS = 500

type Waiter = { readonly place: Place; enter(): void; refuse(problem: Problem): void }

/**
 * The upstream sessions of one server, one per key, opened at the first use. A session that nobody uses is closed
 * after a while, or at once when another needs its place; one that is in use never is, so a newcomer may have to wait.
 * Places are given away in the order of coming, those who hold the fewest first.
 * No user can fill a pool alone: with many sessions or many sets of capabilities they still have one user's share.
 */
export class Pool<Held extends Pooled> {
  readonly #server: string
  readonly #limits: PoolLimits
  // In no order: a map that is reordered at each use keeps making new tables. Who was idle for longest is looked for.
  readonly #slots = new Map<string, Slot<Held>>()
  /** Sessions on their way out: they hold their place until they are gone, so a program never has one too many. */
  #leaving = 0
  /** Places that each owner holds; counted, because there may be thousands and everybody who comes asks. */
  readonly #held = new Map<string, number>()
  /** In the order of coming. */
  readonly #line: Waiter[] = []
  #isLettingIn = false
  #look: NodeJS.Timeout | undefined
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

  get waiting(): number {
    return this.#line.length
  }

  /** The conversation of this place; all who ask while it is being opened get the same one. */
  async acquire(place: Place, open: () => Promise<Held>, signal?: AbortSignal): Promise<Held> {
    return this.#hasPlaceFor(place) ? this.#take(place, open) : this.#wait(place, open, signal)
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
    this.#letInSoon()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const waiter of this.#line.slice()) waiter.refuse(this.#isFull(waiter.place))
    await Promise.all([...this.#slots.keys()].map((key) => this.end(key)))
  }

  #take(place: Place, open: () => Promise<Held>): Promise<Held> {
    const slot = this.#slots.get(place.key) ?? this.#add(place, open)
    slot.lastUsedAt = performance.now()
    return slot.conversation === undefined ? slot.opening : Promise.resolve(slot.conversation)
  }

  #add({ key, owner }: Place, open: () => Promise<Held>): Slot<Held> {
    const slot: Slot<Held> = { opening: open(), owner, conversation: undefined, lastUsedAt: 0 }
    this.#slots.set(key, slot)
    if (owner !== undefined) this.#held.set(owner, this.#heldBy(owner) + 1)
    slot.opening.then(
      (conversation) => {
        slot.conversation = conversation
        conversation.onIdle = () => this.#letInSoon()
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
    return this.#held.get(owner) ?? 0
  }

  #shareOf(owner: string): number {
    const others = this.#held.size - (this.#held.has(owner) ? 1 : 0)
    const isOther = ({ place }: Waiter): boolean => place.owner !== undefined && place.owner !== owner
    return shareOf(this.#limits.max, { hasOthers: others > 0 || this.#line.some(isOther) })
  }

  /** Refuses when the line is full, the time is over, the caller gone, or nobody is served here any more. */
  #wait(place: Place, open: () => Promise<Held>, signal: AbortSignal | undefined): Promise<Held> {
    const waitMs = this.#limits.waitMs ?? WAIT_MS
    if (this.#isClosed || waitMs <= 0 || !this.#mayWait(place)) return Promise.reject(this.#isFull(place))
    const { promise, resolve, reject } = Promise.withResolvers<Held>()
    const leave = (): void => {
      clearTimeout(late)
      signal?.removeEventListener('abort', abort)
      this.#line.splice(this.#line.indexOf(waiter), 1)
    }
    const waiter: Waiter = {
      place,
      enter: () => {
        leave()
        resolve(this.#take(place, open))
      },
      refuse: (problem) => {
        leave()
        reject(problem)
        this.#letInSoon()
      },
    }
    const abort = (): void =>
      waiter.refuse(new Problem(CANCELLED, `the call to server "${this.#server}" was cancelled`))
    const late = setTimeout(() => waiter.refuse(this.#isFull(place)), waitMs)
    signal?.addEventListener('abort', abort, { once: true })
    this.#line.push(waiter)
    this.#look ??= setInterval(() => this.#letIn(), LOOK_MS).unref()
    if (signal?.aborted === true) abort()
    this.#letInSoon()
    return promise
  }

  /** As with places, no user can fill the line alone. */
  #mayWait({ owner }: Place): boolean {
    if (owner === undefined) return this.#line.length < MAX_WAITING
    const theirs = this.#line.reduce((sum, { place }) => (place.owner === owner ? sum + 1 : sum), 0)
    return this.#line.length < MAX_WAITING && theirs < shareOf(MAX_WAITING, { hasOthers: true })
  }

  /** Not at once: whoever just finished with a session may be about to go on with it. */
  #letInSoon(): void {
    if (this.#isLettingIn || this.#look === undefined) return
    this.#isLettingIn = true
    setImmediate(() => {
      this.#isLettingIn = false
      this.#letIn()
    })
  }

  #letIn(): void {
    for (let next = this.#nextInTurn(); next !== undefined; next = this.#nextInTurn()) next.enter()
    if (this.#line.length > 0) return
    clearInterval(this.#look)
    this.#look = undefined
  }

  /** Those who hold the fewest first. What is true of one who waits is true of all of the same owner. */
  #nextInTurn(): Waiter | undefined {
    const opened = this.#line.find(({ place }) => this.#slots.has(place.key))
    const isFull = this.#slots.size + this.#leaving >= this.#limits.max
    if (opened !== undefined || (isFull && (this.#leaving > 0 || this.#idle() === undefined))) return opened
    const heldBy = ({ place: { owner } }: Waiter): number => (owner === undefined ? 0 : this.#heldBy(owner))
    const refused = new Set<string | undefined>()
    return this.#line
      .toSorted((a, b) => heldBy(a) - heldBy(b))
      .find(({ place }) => {
        if (refused.has(place.owner)) return false
        if (this.#hasPlaceFor(place)) return true
        refused.add(place.owner)
        return false
      })
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
    const owner = this.#slots.get(key)?.owner
    this.#slots.delete(key)
    if (owner !== undefined) this.#release(owner)
    this.#letInSoon()
    if (this.#slots.size > 0) return
    clearInterval(this.#sweep)
    this.#sweep = undefined
  }

  #release(owner: string): void {
    const left = this.#heldBy(owner) - 1
    if (left > 0) this.#held.set(owner, left)
    else this.#held.delete(owner)
  }
}

function ownedBy(owner: string | undefined): (slot: { readonly owner: string | undefined }) => boolean {
  return (slot) => slot.owner === owner
}
