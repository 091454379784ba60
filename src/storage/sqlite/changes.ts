import type { ChangeBus } from '../contract.ts'
import type { StorageLog } from '../engine.ts'
import { checkChange, Topics } from '../topics.ts'

/** SQLite has one process, so changes stay in it: delivered after `publish` returned, in order. */
export function createLocalChanges(log: StorageLog): ChangeBus {
  const topics = new Topics(log)
  return {
    async publish(topic, payload = '') {
      checkChange(topic, payload)
      setImmediate(() => topics.deliver(topic, payload))
    },
    subscribe: (topic, listener) => topics.subscribe(topic, listener),
  }
}
