/** When something that failed may be tried again: `0.5 s, 1 s, 2 s … 60 s`, each a little off so that starts do not align. */
export type Rest = { readonly failures: number; readonly retryAt: number; readonly reason: string }

export type Failure = {
  readonly now: number
  readonly ranForMs: number
  readonly reason: string
  readonly random: number
}

const FIRST_MS = 500
const LONGEST_MS = 60_000
const STABLE_MS = 60_000
const MAX_RESTS = 10_000

/** The rest after one more failure. A run of a minute counts as stable: the next failure is a first one again. */
export function restAfter(before: Rest | undefined, failure: Failure): Rest {
  const failures = failure.ranForMs >= STABLE_MS ? 1 : (before?.failures ?? 0) + 1
  const waitMs = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 20))
  const jitter = 0.8 + 0.2 * failure.random
  return { failures, retryAt: failure.now + Math.round(waitMs * jitter), reason: failure.reason }
}

/** The rests of many things by name; those that are over for a minute are forgotten. */
export class BackOff {
  readonly #rests = new Map<string, Rest>()

  fail(name: string, failure: Failure): void {
    this.#forgetOld(failure.now)
    this.#rests.set(name, restAfter(this.#rests.get(name), failure))
  }

  /** The rest that `name` has to keep at `now`; undefined when it may be tried. */
  restOf(name: string, now: number): Rest | undefined {
    const rest = this.#rests.get(name)
    return rest !== undefined && rest.retryAt > now ? rest : undefined
  }

  #forgetOld(now: number): void {
    for (const [name, rest] of this.#rests) if (rest.retryAt + STABLE_MS < now) this.#rests.delete(name)
    const oldest = this.#rests.keys().next()
    if (this.#rests.size >= MAX_RESTS && !oldest.done) this.#rests.delete(oldest.value)
  }
}
