import type { Audit } from '#audit'
import { newId, Problem, type Clock } from '#kernel'
import type { Storage } from '#storage'
import type { Log, Metrics } from '#telemetry'
import { toPrincipal } from './accounts/directory.ts'
import { takeOverFromSource, type SourceSays } from './accounts/from-source.ts'
import { createChangeStore } from './accounts/change-store.ts'
import { createGroupStore } from './accounts/group-store.ts'
import { createAccounts, type Accounts } from './accounts/service.ts'
import { createAccountStore } from './accounts/store.ts'
import { createLinks, type Links } from './links/service.ts'
import { createSessions, type Sessions } from './sessions/service.ts'
import { createGuesses } from './sign-in/guesses.ts'
import { createSignIn, type SignIn } from './sign-in/service.ts'
import { createThrottle, LONGEST_MEMORY_MS } from './sign-in/throttle.ts'
import { audited } from './audited.ts'
import { createPasswords, type Passwords } from './factors/password.ts'
import { createFactors, type Factors } from './factors/service.ts'
import { createPasswordStore } from './factors/store.ts'
import { openKeyExpiry, type KeyExpiry } from './expiry.ts'
import { hashKey, mintKey } from './key-text.ts'
import type { AdminAuthentication, Authentication, Credentials, Keyring } from './keyring.ts'
import { LastUse } from './last-use.ts'
import { openLiveSnapshot, type LiveSnapshot } from './live-snapshot.ts'
import type { Directory, Principal } from './principal.ts'
import { BAD_KEY_REQUEST, NO_SUCH_KEY } from './problems.ts'
import {
  createKeyRequest,
  type Actor,
  type ApiKey,
  type CreatedKey,
  type CreateKeyRequest,
  type KeyPage,
  type ListKeysRequest,
} from './schema.ts'
import { createIdentityStore, type IdentityStore } from './store.ts'

export type IdentityDeps = {
  readonly storage: Storage
  readonly clock: Clock
  readonly audit: Pick<Audit, 'record'>
  readonly log: Log
  /** Where browsers reach the house; passkeys are made for its domain. */
  readonly publicUrl?: () => string
  readonly metrics?: Pick<Metrics, 'signIn'>
}

export type Identity = {
  /** Makes a key, usable here at once and on every replica within a second. The key itself is told only now. */
  createKey(request: CreateKeyRequest, by: Actor): Promise<CreatedKey>
  /** Keys in the order of their making, never with anything that opens a door. */
  listKeys(request?: ListKeysRequest): Promise<KeyPage>
  /** Ends a key for good: here at once, on every replica within a second. Ending it twice changes nothing. */
  revokeKey(id: string, by: Actor): Promise<ApiKey>
  /** All keys as they are now. Ask for it at every use; it costs nothing. */
  keyring(): Keyring
  /** Everybody as they are now. Ask for it at every use; it costs nothing. */
  directory(): Directory
  /** Whom a request is made for that an admin makes in somebody's name; null where that account is not active. */
  principal(named: Pick<Principal, 'userId' | 'keyId' | 'gateways'>): Principal | null
  readonly accounts: Accounts
  /** Takes over the groups and claims that an upstream source gives an account, in place of what it gave before. */
  takeOver(accountId: string, says: SourceSays): Promise<void>
  readonly passwords: Passwords
  /** Passwords and second factors, checked with care against guessing. */
  readonly signIn: SignIn
  readonly sessions: Sessions
  readonly links: Links
  readonly factors: Factors
  /** Tells when accounts or keys were made, changed or ended, here or on another replica; the returned function ends that. */
  onChange(listener: () => void): () => void
  /** The newest keyring's `authenticate`. */
  authenticate(credentials: Credentials): Authentication
  /** Who comes to the admin API with which key, and whether they are an admin. */
  authenticateAdmin(credentials: { readonly authorization?: string | undefined }): AdminAuthentication
  readonly expiry: KeyExpiry
  /** Stores what is still in memory only: when keys were last used. */
  settle(): Promise<void>
  close(): Promise<void>
}

const SWEEP_EVERY_MS = 3_600_000

type Parts = IdentityDeps & { readonly store: IdentityStore; readonly live: LiveSnapshot; readonly lastUse: LastUse }

/** Reads all keys, and from then on follows every change. Rejects when the store is down. */
export async function createIdentity(deps: IdentityDeps): Promise<Identity> {
  const store = createIdentityStore(deps.storage)
  const lastUse = new LastUse({ save: (uses) => store.saveLastUse(uses), log: deps.log })
  const accounts = createAccountStore(deps.storage, deps.clock)
  const live = await openLiveSnapshot({ ...deps, store, accounts, onUse: (keyId, at) => lastUse.note(keyId, at) })
  const parts: Parts = { ...deps, store, live, lastUse }
  const directory = (): Directory => live.current.directory
  const passwords = createPasswords({ ...deps, store: createPasswordStore(deps.storage), directory })
  const guesses = createGuesses(deps.storage)
  const throttle = createThrottle({
    ...deps,
    guesses,
    onAttempt: (factor, outcome) => deps.metrics?.signIn(factor, outcome),
  })
  const groups = createGroupStore(deps.storage, deps.clock)
  const announce = (id: string): Promise<void> => live.announce(id)
  const changes = createChangeStore(deps.storage)
  const people = createAccounts({ ...deps, store: accounts, changes, groups, directory, announce })
  const expiry = await openKeyExpiry({ ...deps, store })
  const sweep = sweepOften(() => Promise.all([guesses.sweep(deps.clock.now() - LONGEST_MEMORY_MS), expiry.warn()]))
  return {
    createKey: (request, by) => createKey(parts, request, by),
    listKeys: (request = {}) => listKeys(parts, request),
    revokeKey: (id, by) => revokeKey(parts, id, by),
    keyring: () => live.current.keyring,
    directory: () => live.current.directory,
    principal: (named) => toPrincipal(live.current.directory, named),
    passwords,
    accounts: people,
    takeOver: (accountId, says) =>
      takeOverFromSource({ ...deps, directory, announce: (id) => live.announce(id) }, accountId, says),
    signIn: createSignIn({ throttle, passwords, directory }),
    sessions: createSessions({ ...deps, directory }),
    links: createLinks({ ...deps, accounts: people, directory }),
    factors: await createFactors({ ...deps, directory }),
    onChange: (listener) => live.onChange(listener),
    authenticate: (credentials) => live.current.keyring.authenticate(credentials),
    authenticateAdmin: (credentials) => live.current.keyring.authenticateAdmin(credentials),
    expiry,
    settle: () => lastUse.flush(),
    close: async () => {
      clearInterval(sweep)
      await live.close()
      await lastUse.flush()
    },
  }
}

function sweepOften(sweep: () => Promise<unknown>): NodeJS.Timeout {
  // What is missed now is removed by the next one.
  return setInterval(() => void sweep().catch(() => {}), SWEEP_EVERY_MS).unref()
}

async function createKey(parts: Parts, request: CreateKeyRequest, by: Actor): Promise<CreatedKey> {
  const now = parts.clock.now()
  const wish = parseRequest(request, now)
  const id = newId('key')
  const text = mintKey(id).reveal()
  const key: ApiKey = { id, ...wish, createdAt: now, revokedAt: null, lastUsedAt: null }
  const { userId, gateways, role, expiresAt } = key
  await audited(parts, { what: 'key.created', by, extra: { key: id, userId, gateways, role, expiresAt } }, () =>
    parts.store.insert({ hash: hashKey(text), key }),
  )
  await parts.live.announce(id)
  return { ...key, key: text }
}

function parseRequest(request: CreateKeyRequest, now: number) {
  const parsed = createKeyRequest.safeParse(request)
  if (!parsed.success) throw new Problem(BAD_KEY_REQUEST, wordsOf(parsed.error.issues))
  const { expiresAt } = parsed.data
  refuseWrongPlace(parsed.data)
  if (expiresAt !== null && expiresAt <= now)
    throw new Problem(
      BAD_KEY_REQUEST,
      `The key would have expired at ${expiresAt}, before it was made; give a time to come.`,
    )
  return parsed.data
}

/** A key for SCIM opens no gateway and is nobody's; every other one opens a gateway. */
function refuseWrongPlace({ role, gateways, userId }: Pick<ApiKey, 'role' | 'gateways' | 'userId'>): void {
  if (role !== 'scim' && gateways.length === 0)
    throw new Problem(BAD_KEY_REQUEST, 'gateways: name 1 to 100 gateways by their slugs, or "*" alone for all of them')
  if (role === 'scim' && (gateways.length > 0 || userId !== null))
    throw new Problem(
      BAD_KEY_REQUEST,
      'A key with the role "scim" has no gateways and no user: it opens /scim/v2 only.',
    )
}

function wordsOf(issues: readonly { path: readonly PropertyKey[]; message: string }[]): string {
  return issues.map(({ path, message }) => `${path.map(String).join('.')}: ${message}`).join('; ')
}

async function listKeys(parts: Parts, request: ListKeysRequest): Promise<KeyPage> {
  const limit = Math.min(Math.max(request.limit ?? 100, 1), 1_000)
  const found = await parts.store.list({ userId: request.userId, after: request.cursor, limit: limit + 1 })
  const keys = found.slice(0, limit).map((key) => withLastUse(parts, key))
  return { keys, next: found.length > limit ? (keys.at(-1)?.id ?? null) : null }
}

function withLastUse(parts: Parts, key: ApiKey): ApiKey {
  return { ...key, lastUsedAt: parts.lastUse.pending(key.id) ?? key.lastUsedAt }
}

async function revokeKey(parts: Parts, id: string, by: Actor): Promise<ApiKey> {
  const key = await parts.store.find(id)
  if (!key)
    throw new Problem(NO_SUCH_KEY, `There is no API key "${id.slice(0, 64)}"; \`key list\` shows those there are.`)
  if (key.revokedAt !== null) return withLastUse(parts, key)
  const revokedAt = parts.clock.now()
  await audited(parts, { what: 'key.revoked', by, extra: { key: id, userId: key.userId } }, () =>
    parts.store.revoke(id, revokedAt),
  )
  await parts.live.announce(id)
  return withLastUse(parts, { ...key, revokedAt })
}
