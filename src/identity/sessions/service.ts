import { hash, randomBytes } from 'node:crypto'
import type { Audit } from '#audit'
import { newId, Problem, type Clock } from '#kernel'
import type { Storage } from '#storage'
import type { Directory } from '../principal.ts'
import { NO_SUCH_SESSION } from '../problems.ts'
import type { Actor } from '../schema.ts'
import type { From } from '../sign-in/throttle.ts'
import { createSessionStore, type SessionRow } from './store.ts'

/** One browser in which somebody is signed in. */
export type Session = {
  readonly id: string
  readonly accountId: string
  /** How they proved who they are. */
  readonly factor: string
  readonly signedInAt: number
  readonly lastSeenAt: number
  readonly address: string
  readonly agent: string
}

export type Sessions = {
  /** A new session with a new token, whatever the browser had before. The token is told only here. */
  start(session: { accountId: string; factor: string; from: From }): Promise<{ token: string; session: Session }>
  /** The living session of this token, seen now; null for one that ended, expired, or whose account is not active. */
  find(token: string): Promise<Session | null>
  /** Living sessions, the one used last first. */
  list(accountId: string): Promise<readonly Session[]>
  /** Ends one at once, on every replica. Someone else's is `identity/no-such-session`. */
  end(accountId: string, id: string, by: Actor): Promise<void>
  /** Ends all but this one; all of them for null. */
  endOthers(accountId: string, keepId: string | null, by: Actor): Promise<void>
}

const IDLE_MS = 12 * 3_600_000
const LONGEST_MS = 7 * 86_400_000
const SEEN_EVERY_MS = 60_000
const MAX_AGENT_CHARS = 256
/** Of one account; the one used longest ago makes room. */
const MAX_SESSIONS = 50

/** Browser sessions: an opaque token in a cookie, of which only the hash is kept. */
export function createSessions(deps: {
  storage: Storage
  clock: Clock
  audit: Pick<Audit, 'record'>
  readonly directory: () => Directory
}): Sessions {
  const { clock, audit, directory } = deps
  const store = createSessionStore(deps.storage)
  const isAlive = (row: SessionRow): boolean =>
    row.ended_at === null && row.expires_at > clock.now() && row.last_seen_at > clock.now() - IDLE_MS
  const alive = async (accountId: string): Promise<SessionRow[]> =>
    (await store.ofAccount(accountId)).filter(isAlive).toSorted((a, b) => b.last_seen_at - a.last_seen_at)
  const endAll = async (accountId: string, rows: readonly SessionRow[], by: Actor): Promise<void> => {
    if (rows.length === 0) return
    const { userId, keyId, face } = by
    const extra = { account: accountId, sessions: rows.length }
    await audit.record({ what: 'session.ended', decision: 'allowed', userId, keyId, face, extra })
    for (const row of rows) await store.end(row.id, clock.now())
  }
  return {
    start: async ({ accountId, factor, from }) => {
      const token = randomBytes(32).toString('base64url')
      const now = clock.now()
      const row = newRow({ accountId, factor, from, token, now })
      const crowded = (await alive(accountId)).slice(MAX_SESSIONS - 1)
      await endAll(accountId, crowded, { face: 'web' })
      await store.removeOld(now - LONGEST_MS)
      await store.insert(row)
      return { token, session: toSession(row) }
    },
    find: async (token) => {
      if (token.length > 128) return null
      const row = await store.findByHash(hashToken(token))
      if (row === undefined || !isAlive(row)) return null
      if (directory().findByAccountId(row.account_id)?.isActive !== true) return null
      const now = clock.now()
      if (now - row.last_seen_at >= SEEN_EVERY_MS) await store.seen(row.id, now)
      return toSession(row)
    },
    list: async (accountId) => (await alive(accountId)).map(toSession),
    end: async (accountId, id, by) => {
      const found = (await alive(accountId)).filter((row) => row.id === id)
      if (found.length === 0) throw new Problem(NO_SUCH_SESSION, 'There is no such session (any more).')
      await endAll(accountId, found, by)
    },
    endOthers: async (accountId, keepId, by) =>
      endAll(
        accountId,
        (await alive(accountId)).filter(({ id }) => id !== keepId),
        by,
      ),
  }
}

function newRow(session: { accountId: string; factor: string; from: From; token: string; now: number }): SessionRow {
  const { accountId, factor, from, token, now } = session
  return {
    id: newId('session'),
    token_hash: hashToken(token),
    account_id: accountId,
    factor,
    signed_in_at: now,
    last_seen_at: now,
    expires_at: now + LONGEST_MS,
    ended_at: null,
    address: from.address.slice(0, 64),
    agent: from.agent.slice(0, MAX_AGENT_CHARS),
  }
}

function toSession(row: SessionRow): Session {
  return {
    id: row.id,
    accountId: row.account_id,
    factor: row.factor,
    signedInAt: row.signed_in_at,
    lastSeenAt: row.last_seen_at,
    address: row.address,
    agent: row.agent,
  }
}

/** The token has 256 random bits, so it needs no slow hash. */
function hashToken(token: string): string {
  return hash('sha256', token, 'base64url')
}
