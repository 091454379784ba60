import { randomBytes } from 'node:crypto'
import { Problem } from '#kernel'
import type { FaceContext } from '../context.ts'
import { TOO_MANY } from '../problems.ts'
import type { Beating } from '../pulse.ts'
import { ReplayBudget } from './replay-budget.ts'
import { LegacySession, type ClientProfile, type Owner } from './session.ts'

const PROFILES_KEPT = 256
/** What the clients of one key say about themselves may have so many characters for each session that the key may open. */
const PROFILE_CHARS = 1_024
export const MAX_PROFILE_CHARS = 65_536

/** The sessions of one key, the one that was silent longest first. */
type OfKey = { readonly sessions: Set<LegacySession>; profileChars: number }

/** Ending a session may reach out to servers; thousands at once would be a storm. */
const SWEPT_AT_ONCE = 2_000

/**
 * All sessions of this replica, the one that was silent longest first. One sweep ends those that were idle for too
 * long; at the limits the longest idle one makes room.
 */
export class Sessions implements Beating {
  readonly budget: ReplayBudget
  readonly #face: FaceContext
  readonly #byId = new Map<string, LegacySession>()
  readonly #byKey = new Map<string, OfKey>()
  readonly #profiles = new Map<string, ClientProfile>()

  constructor(face: FaceContext) {
    this.#face = face
    this.budget = new ReplayBudget(face.limits.resumeBytesTotal)
  }

  get count(): number {
    return this.#byId.size
  }

  get list(): IterableIterator<LegacySession> {
    return this.#byId.values()
  }

  open(admission: Owner, client: { protocolVersion: string; profile: ClientProfile }): LegacySession {
    const { limits, clock, replica } = this.#face
    const profileChars = JSON.stringify(client.profile).length
    const spareChars = MAX_PROFILE_CHARS + limits.sessionsPerKey * PROFILE_CHARS - profileChars
    const ofKey = this.#byKey.get(keyOf(admission)) ?? { sessions: new Set(), profileChars: 0 }
    while (ofKey.profileChars > spareChars) this.#makeRoom(ofKey.sessions)
    if (ofKey.sessions.size >= limits.sessionsPerKey) this.#makeRoom(ofKey.sessions)
    if (this.#byId.size >= limits.sessionsTotal) this.#makeRoom(this.#byId.values())
    const { gateway, userId, keyId } = admission
    const session = new LegacySession({
      id: `${replica === undefined ? '' : `${replica.id}.`}${randomBytes(24).toString('base64url')}`,
      owner: { gateway, userId, keyId },
      protocolVersion: client.protocolVersion,
      profile: this.#share(client.profile),
      profileChars,
      now: clock.now(),
    })
    this.#byId.set(session.id, session)
    ofKey.sessions.add(session)
    ofKey.profileChars += profileChars
    this.#byKey.set(keyOf(admission), ofKey)
    this.#face.pulse.add(this)
    return session
  }

  /** The caller's own session, marked as used now; null for an unknown one and for anybody else's. */
  find(id: string, caller: Owner): LegacySession | null {
    const session = this.#byId.get(id)
    if (session === undefined || !session.belongsTo(caller)) return null
    this.touch(session)
    return session
  }

  touch(session: LegacySession): void {
    const now = this.#face.clock.now()
    // Moving it makes the tables grow; once in a millisecond is enough for their order.
    if (session.lastSeenAt === now) return
    session.lastSeenAt = now
    // Maps and sets keep their order, so the front is always the one that was silent longest.
    this.#byId.delete(session.id)
    this.#byId.set(session.id, session)
    const ofKey = this.#byKey.get(keyOf(session.owner))?.sessions
    ofKey?.delete(session)
    ofKey?.add(session)
  }

  /** Ends a session and everything that hangs on it, here and at the servers behind. */
  end(session: LegacySession): void {
    if (!this.#byId.delete(session.id)) return
    this.#forgetOfKey(session)
    for (const release of session.release()) this.#settle(release())
    this.#settle(this.#face.tools.endSession(session.key))
  }

  #forgetOfKey(session: LegacySession): void {
    const ofKey = this.#byKey.get(keyOf(session.owner))
    if (!ofKey?.sessions.delete(session)) return
    ofKey.profileChars -= session.profileChars
    if (ofKey.sessions.size === 0) this.#byKey.delete(keyOf(session.owner))
  }

  endAll(): void {
    for (const session of this.#byId.values()) this.end(session)
    this.#face.pulse.remove(this)
  }

  beat(now: number): void {
    let looks = 0
    for (const session of this.#byId.values()) {
      looks += 1
      if (looks > SWEPT_AT_ONCE || now - session.lastSeenAt < this.#face.limits.sessionIdleMs) break
      if (session.isIdle) this.end(session)
      else this.touch(session)
    }
    if (this.#byId.size === 0) this.#face.pulse.remove(this)
  }

  /** Logs what fails in the background; there is nobody left to tell. */
  #settle(work: Promise<void>): void {
    work.catch((error: unknown) => this.#face.log.warn({ err: error }, 'could not end a session cleanly'))
  }

  /** Ends the one that was idle for longest; throws when there is none. */
  #makeRoom(oldestFirst: Iterable<LegacySession>): void {
    for (const session of oldestFirst) {
      if (session.isIdle) return this.end(session)
    }
    throw new Problem(TOO_MANY, 'All sessions that may be open at once are in use. End one or try again later.')
  }

  #share(profile: ClientProfile): ClientProfile {
    const text = JSON.stringify(profile)
    const known = this.#profiles.get(text)
    if (known !== undefined) return known
    const [oldest] = this.#profiles.keys()
    if (this.#profiles.size >= PROFILES_KEPT && oldest !== undefined) this.#profiles.delete(oldest)
    this.#profiles.set(text, profile)
    return profile
  }
}

/** Sessions are counted per key; where there is none, per user. */
function keyOf(owner: Owner): string {
  return owner.keyId ?? `${owner.gateway}\n${owner.userId}`
}
