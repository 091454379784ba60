import type { ChangeBus } from '../contract.ts'
import type { StorageLog } from '../engine.ts'
import { checkChange, Topics } from '../topics.ts'

/** SQLite has one process, so changes stay in it: delivered after `publish` returned, in order, until `close`. */
export class LocalChanges implements ChangeBus {
  readonly #topics: Topics
  #isClosed = false

  constructor(log: StorageLog) {
    this.#topics = new Topics(log)
  }

  async publish(topic: string, payload = ''): Promise<void> {
    if (this.#isClosed) throw new Error(`could not announce a change of ${topic}: the SQLite database is closed`)
    checkChange(topic, payload)
    setImmediate(() => this.#isClosed || this.#topics.deliver(topic, payload))
  }

  subscribe(topic: string, listener: (payload: string) => void): () => void {
    return this.#topics.subscribe(topic, listener)
  }

  close(): void {
    this.#isClosed = true
  }
}
