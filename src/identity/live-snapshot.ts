import type { Clock } from '#kernel'
import { Live, type Storage } from '#storage'
import type { Log } from '#telemetry'
import { buildDirectory } from './accounts/directory.ts'
import { memberAt, nextEnd, type StoredMember } from './accounts/in-force.ts'
import type { AccountStore } from './accounts/store.ts'
import { buildKeyring, type HashedKey, type Keyring, type KeyringDeps } from './keyring.ts'
import type { Directory } from './principal.ts'
import type { IdentityStore } from './store.ts'

const TOPIC = 'identity.keys'

/** For so long, a key that has ended is told apart from one that never was. */
const REMEMBERED_MS = 90 * 86_400_000
const MAX_TIMER_MS = 3_600_000

/** All accounts and all keys as they were at one moment. It never changes; a change, and an end, makes the next one. */
type IdentitySnapshot = {
  readonly directory: Directory
  readonly keyring: Keyring
  /** Until then: something that an upstream source said counts no more. */
  readonly endsAt: number
}
type Stored = { readonly members: readonly StoredMember[]; readonly keys: readonly HashedKey[] }

type LiveSnapshotDeps = {
  readonly storage: Storage
  readonly store: Pick<IdentityStore, 'loadAll'>
  readonly accounts: Pick<AccountStore, 'loadMembers'>
  readonly clock: Clock
  readonly log: Log
  readonly onUse: KeyringDeps['onUse']
}

export type LiveSnapshot = Awaited<ReturnType<typeof openLiveSnapshot>>

/** The newest accounts and keys, read anew whenever any replica changes one. Rejects when the store is down. */
export async function openLiveSnapshot({ storage, store, accounts, clock, log, onUse }: LiveSnapshotDeps) {
  const live = await Live.open<null, Stored, IdentitySnapshot>({
    storage,
    log,
    topic: TOPIC,
    what: 'accounts and keys',
    declared: null, // the config file has none
    empty: { members: [], keys: [] },
    load: async () => {
      const keys = await store.loadAll(clock.now() - REMEMBERED_MS)
      // Accounts last: one that was made inactive while the keys were read is inactive.
      return { members: await accounts.loadMembers(), keys }
    },
    build: (_declared, { members, keys }) => {
      const now = clock.now()
      const directory = buildDirectory(members.map((member) => memberAt(member, now)))
      const keyring = buildKeyring(keys, { directory, onUse, now: () => clock.now() })
      return { directory, keyring, endsAt: nextEnd(members, now) }
    },
  })
  const isOver = (): boolean => clock.now() >= live.current.endsAt
  const stopWaiting = tellOfEnds(live, clock)
  return {
    get current(): IdentitySnapshot {
      if (isOver()) live.declare(null)
      return live.current
    },
    announce: (id: string) => live.announce(id),
    onChange: (listener: () => void) => live.onChange(listener),
    close: () => {
      stopWaiting()
      return live.close()
    },
  }
}

/** So that clients hear of what ends by itself: what is asked meanwhile is answered by the clock anyway. */
function tellOfEnds(live: Live<null, Stored, IdentitySnapshot>, clock: Clock): () => void {
  let timer: NodeJS.Timeout | undefined
  const wait = (): void => {
    clearTimeout(timer)
    const { endsAt } = live.current
    if (endsAt === Infinity) return
    const waitMs = Math.min(Math.max(0, endsAt - clock.now()), MAX_TIMER_MS)
    timer = setTimeout(() => (clock.now() >= endsAt ? live.declare(null) : wait()), waitMs + 1).unref()
  }
  const forget = live.onChange(wait)
  wait()
  return () => {
    forget()
    clearTimeout(timer)
  }
}
