import type { Clock } from '#kernel'
import { Live, type Storage } from '#storage'
import type { Log } from '#telemetry'
import { buildDirectory } from './accounts/directory.ts'
import type { AccountStore } from './accounts/store.ts'
import { buildKeyring, type HashedKey, type Keyring, type KeyringDeps } from './keyring.ts'
import type { Directory, Member } from './principal.ts'
import type { IdentityStore } from './store.ts'

const TOPIC = 'identity.keys'

/** For so long, a key that has ended is told apart from one that never was. */
const REMEMBERED_MS = 90 * 86_400_000

/** All accounts and all keys as they were at one moment. It never changes; a change makes the next one. */
type IdentitySnapshot = { readonly directory: Directory; readonly keyring: Keyring }
type Stored = { readonly members: readonly Member[]; readonly keys: readonly HashedKey[] }

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
export function openLiveSnapshot({ storage, store, accounts, clock, log, onUse }: LiveSnapshotDeps) {
  return Live.open({
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
    build: (_declared: null, { members, keys }: Stored): IdentitySnapshot => {
      const directory = buildDirectory(members)
      return { directory, keyring: buildKeyring(keys, { directory, onUse, now: () => clock.now() }) }
    },
  })
}
