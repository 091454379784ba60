import type { Audit } from '#audit'
import type { Clock } from '#kernel'
import type { Storage } from '#storage'
import type { Log } from '#telemetry'
import { decide, type Question, type Verdict } from './decide.ts'
import { createGrants, type Grants } from './grants/service.ts'
import { LivePolicy } from './live.ts'
import { createPolicyStore } from './store.ts'
import type { World } from './world.ts'

export type PolicyDeps = {
  readonly storage: Storage
  readonly clock: Clock
  readonly log: Log
  readonly audit: Pick<Audit, 'record' | 'search'>
  readonly world: World
}

/** What the pipeline and the lists ask. */
export type Policy = {
  /** The policy in force. Decisions are pure and cost no I/O. */
  decide(question: Question): Verdict
  /** Tells when somebody may be allowed more or less than before; the returned function ends that. */
  onChange(listener: () => void): () => void
}

export type PolicyRoom = Policy & Grants & { close(): Promise<void> }

/** Reads all grants, and from then on follows every change. Rejects when the store is down. */
export async function createPolicy(deps: PolicyDeps): Promise<PolicyRoom> {
  const { storage, clock } = deps
  const store = createPolicyStore(storage)
  const listeners = new Set<() => void>()
  const live = await LivePolicy.open({
    ...deps,
    read: async () => ({
      grants: await store.loadGrants(),
      granted: await store.loadGranted(),
      rules: [],
      label: 'grants',
    }),
    onChange: () => listeners.forEach((listener) => listener()),
  })
  return {
    decide: (question) => decide(live.current, question, clock.now()),
    onChange: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    ...createGrants({ ...deps, store, live }),
    close: () => live.close(),
  }
}
