import type { Problem } from '#kernel'
import type { Tools } from '#tools'
import type { Exchange } from './context.ts'

/** Something that stays open under an admission: a call, a stream. */
export type OpenExchange = {
  readonly exchange: Pick<Exchange, 'gateway' | 'credentials'>
  /** The caller is no longer admitted: ends it, saying why. */
  expel(why: Problem): void
  /** Where the register keeps it; -1 or nothing when it does not. Nobody else's business. */
  openPlace?: number
}

/** All that is open under an admission. When keys change, whatever rests on one that has ended is ended at once. */
export class OpenExchanges {
  readonly #tools: Pick<Tools, 'whyNoLonger'>
  readonly #stop: () => void
  // An array with places, for the reason that `pulse.ts` names.
  readonly #members: OpenExchange[] = []

  constructor(tools: Pick<Tools, 'whyNoLonger' | 'onAccessChanged'>) {
    this.#tools = tools
    this.#stop = tools.onAccessChanged(() => this.#expel())
  }

  add(member: OpenExchange): void {
    if ((member.openPlace ?? -1) < 0) member.openPlace = this.#members.push(member) - 1
  }

  remove(member: OpenExchange): void {
    const { openPlace = -1 } = member
    const last = openPlace < 0 ? undefined : this.#members.pop()
    if (last === undefined) return
    if (last !== member) {
      this.#members[openPlace] = last
      last.openPlace = openPlace
    }
    member.openPlace = -1
  }

  get size(): number {
    return this.#members.length
  }

  /** Ends everything, saying why, and hears of no more changes. */
  close(why: Problem): void {
    this.#stop()
    for (const member of this.#members.slice()) member.expel(why)
  }

  #expel(): void {
    // A copy, as whatever ends takes itself out.
    for (const member of this.#members.slice()) {
      const why = this.#tools.whyNoLonger(member.exchange)
      if (why !== null) member.expel(why)
    }
  }
}
