import type { Clock } from '#kernel'
import type { AuditStore } from './store.ts'

/** Work that one replica does for all. */
export type Duty = {
  /** True while it is ours for a while longer; false where another replica has it. Ask again as the work goes on. */
  hold(): Promise<boolean>
  /** Lets another replica have it at once. */
  leave(): Promise<void>
}

/** Who has a duty and says nothing for so long has died. */
const HELD_FOR_MS = 60_000

/** A duty by its name. Held through the database, so it is held once, whatever number of replicas there is. */
export function createDuty(deps: { store: AuditStore; clock: Clock; replica: string; name: string }): Duty {
  const { store, clock, replica, name } = deps
  return {
    hold() {
      const now = clock.now()
      return store.takeDuty({ name, replica, now, until: now + HELD_FOR_MS })
    },
    async leave() {
      await store.leaveDuty(name, replica)
    },
  }
}
