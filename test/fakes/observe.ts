/**
 * What a fake has seen, in order, with a way to wait for the next thing without sleeping.
 * The list is bounded: the oldest entries go first, `total` keeps counting.
 */
export type Journal<Entry> = {
  readonly entries: readonly Entry[]
  readonly total: number
  add(entry: Entry): void
  /** Resolves with the first entry (past or future) that matches; rejects when the time is over. */
  until(matches: (entry: Entry) => boolean, timeoutMs?: number): Promise<Entry>
  /** Tells every entry from now on. */
  watch(listener: (entry: Entry) => void): void
  clear(): void
}

export function createJournal<Entry>(maxEntries = 20_000): Journal<Entry> {
  const entries: Entry[] = []
  const listeners = new Set<(entry: Entry) => void>()
  let total = 0
  return {
    entries,
    get total() {
      return total
    },
    add(entry) {
      total += 1
      entries.push(entry)
      if (entries.length > maxEntries) entries.shift()
      for (const listener of listeners) listener(entry)
    },
    until: (matches, timeoutMs = 10_000) => waitFor({ entries, listeners, matches, timeoutMs }),
    watch: (listener) => void listeners.add(listener),
    clear() {
      entries.length = 0
      total = 0
    },
  }
}

function waitFor<Entry>(wait: {
  entries: readonly Entry[]
  listeners: Set<(entry: Entry) => void>
  matches: (entry: Entry) => boolean
  timeoutMs: number
}): Promise<Entry> {
  const past = wait.entries.find(wait.matches)
  if (past !== undefined) return Promise.resolve(past)
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer)
      wait.listeners.delete(listener)
    }
    const listener = (entry: Entry) => {
      if (!wait.matches(entry)) return
      stop()
      resolve(entry)
    }
    const timer = setTimeout(() => {
      stop()
      reject(new Error(`nothing that matches was seen within ${wait.timeoutMs} ms`))
    }, wait.timeoutMs)
    wait.listeners.add(listener)
  })
}
