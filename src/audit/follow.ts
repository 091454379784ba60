import type { Storage } from '#storage'
import { Bell } from './bell.ts'
import type { AuditFilter, AuditRecord } from './schema.ts'
import { readable } from './search.ts'
import type { AuditStore } from './store.ts'

export const TOPIC = 'audit'

const PAGE_ROWS = 500

export type FollowRequest = { readonly filter?: AuditFilter | undefined; readonly signal: AbortSignal }

/**
 * The matching records of all replicas from now on, each once, in order within a chain; ends when `signal` aborts.
 * Asks the store only when something was written, so nothing is lost when the reader is slow.
 */
export async function* followTrail(
  deps: { store: AuditStore; storage: Storage },
  request: FollowRequest,
): AsyncGenerator<AuditRecord> {
  const { signal, filter = {} } = request
  const bell = new Bell(signal)
  const unsubscribe = deps.storage.changes.subscribe(TOPIC, (chain) => bell.ring(chain))
  try {
    const read = await readPositions(deps.store)
    while (!signal.aborted)
      for (const chain of await chainsToRead(deps.store, await bell.heard()))
        yield* readOn(deps.store, { chain, read, filter, signal })
  } finally {
    unsubscribe()
  }
}

/** Where each chain ends now. */
async function readPositions(store: AuditStore): Promise<Map<string, number>> {
  const read = new Map<string, number>()
  for (const { chain } of await store.chains()) read.set(chain, (await store.lastRow(chain))?.seq ?? 0)
  return read
}

/** An empty name says that any chain may have grown. */
async function chainsToRead(store: AuditStore, heard: ReadonlySet<string>): Promise<Iterable<string>> {
  return heard.has('') ? (await store.chains()).map((row) => row.chain) : heard
}

async function* readOn(
  store: AuditStore,
  request: { chain: string; read: Map<string, number>; filter: AuditFilter; signal: AbortSignal },
): AsyncGenerator<AuditRecord> {
  const { chain, read, filter, signal } = request
  const last = (await store.lastRow(chain))?.seq ?? 0
  let after = read.get(chain) ?? 0
  while (after < last && !signal.aborted) {
    const upTo = Math.min(last, after + PAGE_ROWS)
    const rows = await store.since(filter, { chain, after, upTo })
    after = upTo
    read.set(chain, after)
    yield* rows.flatMap(readable)
  }
}
