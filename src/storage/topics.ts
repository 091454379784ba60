import { Problem } from '#kernel'
import type { StorageLog } from './engine.ts'
import { CHANGE_TOO_LARGE } from './problems.ts'

type Listener = (payload: string) => void

/** Postgres refuses a notification of 8,000 bytes; the rest is room for the topic and what frames it. */
const MAX_PAYLOAD_BYTES = 7_000

/** Who listens to which topic in this process. A listener that throws is logged and stops nobody else. */
export class Topics {
  readonly #listeners = new Map<string, Set<Listener>>()
  readonly #log: StorageLog

  constructor(log: StorageLog) {
    this.#log = log
  }

  subscribe(topic: string, listener: Listener): () => void {
    // A wrapper of its own, so that the same function may subscribe twice.
    const own: Listener = (payload) => listener(payload)
    const listeners = this.#listeners.get(topic) ?? new Set()
    this.#listeners.set(topic, listeners.add(own))
    return () => {
      listeners.delete(own)
      if (listeners.size === 0 && this.#listeners.get(topic) === listeners) this.#listeners.delete(topic)
    }
  }

  deliver(topic: string, payload: string): void {
    const listeners = [...(this.#listeners.get(topic) ?? [])]
    for (const listener of listeners) {
      try {
        listener(payload)
      } catch (error) {
        this.#log({ kind: 'listener-failed', topic, error })
      }
    }
  }

  /** Tells every listener once that something may have been missed. */
  deliverGap(): void {
    const topics = [...this.#listeners.keys()]
    for (const topic of topics) this.deliver(topic, '')
  }
}

/** Refuses what Postgres could not carry, on both engines alike. */
export function checkChange(topic: string, payload: string): void {
  const bytes = Buffer.byteLength(payload)
  if (bytes > MAX_PAYLOAD_BYTES)
    throw new Problem(
      CHANGE_TOO_LARGE,
      `A change of "${topic}" has a payload of ${bytes} bytes, more than ${MAX_PAYLOAD_BYTES}; send an id and let listeners read the rest.`,
    )
  if (topic === '' || topic.length > 200 || topic.includes('\n') || payload.includes('\0'))
    throw new Problem(CHANGE_TOO_LARGE, 'A topic has 1 to 200 characters on one line, and a payload no NUL character.')
}
