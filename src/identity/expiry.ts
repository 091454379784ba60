import type { Audit } from '#audit'
import type { Clock } from '#kernel'
import type { Log } from '#telemetry'
import type { ApiKey } from './schema.ts'
import type { IdentityStore } from './store.ts'

const DAY_MS = 86_400_000
const SOON_MS = 30 * DAY_MS
/** A key that was made for less ends when whoever made it expects it to. */
const LONG_MS = 60 * DAY_MS
const AT_ONCE = 500

/** Whether a key that was made for long ends within thirty days, so that there is time to replace it. */
export function expiresSoon(key: Pick<ApiKey, 'createdAt' | 'expiresAt' | 'revokedAt'>, now: number): boolean {
  const { createdAt, expiresAt, revokedAt } = key
  if (expiresAt === null || revokedAt !== null || expiresAt - createdAt < LONG_MS) return false
  return expiresAt > now && expiresAt - now <= SOON_MS
}

type Deps = {
  readonly store: IdentityStore
  readonly clock: Clock
  readonly log: Log
  readonly audit: Pick<Audit, 'record'>
}

export type KeyExpiry = {
  /** Tells of each key once, in the log and the audit trail, that it ends soon. Done once an hour by itself. */
  warn(): Promise<void>
  /** How many there were, the last time. */
  count(): number
}

/** Looks at all keys at once, and then whenever it is told to. */
export async function openKeyExpiry(deps: Deps): Promise<KeyExpiry> {
  let count = await warnOfExpiry(deps)
  return {
    count: () => count,
    warn: async () => {
      count = await warnOfExpiry(deps)
    },
  }
}

/** Whichever replica marks a key first tells of it. Resolves with how many there are, told of now or before. */
async function warnOfExpiry({ store, clock, log, audit }: Deps): Promise<number> {
  const now = clock.now()
  const soon = (await store.endingBy(now + SOON_MS, { now, limit: AT_ONCE })).filter((key) => expiresSoon(key, now))
  for (const { id, userId, name, expiresAt } of soon) {
    if (!(await store.markWarned(id, now))) continue
    const at = new Date(expiresAt ?? now).toISOString()
    log.warn({ key: id, userId, name, expiresAt: at }, 'an API key ends soon; make the next one in time')
    const event = { what: 'key.expires-soon', decision: 'allowed', userId, keyId: id } as const
    await audit.record({ ...event, reason: `ends at ${at}`, extra: { key: id, userId, name, expiresAt } })
  }
  return soon.length
}
