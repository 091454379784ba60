import { availableParallelism } from 'node:os'
import { hash, verify } from '@node-rs/argon2'
import { Problem, type Clock, type Secret } from '#kernel'
import type { Audit } from '#audit'
import { audited } from '../audited.ts'
import type { Directory } from '../principal.ts'
import { BAD_PASSWORD, NO_SUCH_ACCOUNT, SIGN_IN_BUSY } from '../problems.ts'
import type { Actor } from '../schema.ts'
import { HashGate } from './hash-gate.ts'
import type { PasswordStore } from './store.ts'

export type Passwords = {
  /** Gives a person a password in place of any before. Refuses one that is short, or that others would guess. */
  set(accountId: string, password: Secret, by: Actor): Promise<void>
  /**
   * Whether this is the password of the active person of this user id. Works as hard for somebody who is not there.
   * Throws a Problem when too many sign in at once. It does not slow down guessing: whoever asks must do that.
   */
  matches(userId: string, password: Secret): Promise<boolean>
  has(accountId: string): Promise<boolean>
}

type Deps = {
  readonly store: PasswordStore
  readonly audit: Pick<Audit, 'record'>
  readonly clock: Clock
  readonly directory: () => Directory
}

/** OWASP's smallest for Argon2id, which is the kind that the library makes unless told otherwise. */
const COST = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }
/** A hash of no password anybody has, so that an unknown user costs what a known one costs. */
const NOBODY = '$argon2id$v=19$m=19456,t=2,p=1$Z2F0ZWhvdXNlLW5vYm9keQ$bm9ib2R5LWhhcy10aGlzLXBhc3N3b3JkLWhlcmUhISE'
const MIN_CHARS = 12
const MAX_CHARS = 256
const MAX_WAITING = 64

export function createPasswords(deps: Deps): Passwords {
  const gate = new HashGate({ atOnce: Math.max(1, availableParallelism() - 1), maxWaiting: MAX_WAITING })
  const inTurn = async <T>(work: () => Promise<T>): Promise<T> => {
    const done = await gate.run(work)
    if (done === 'busy')
      throw new Problem(SIGN_IN_BUSY, 'Too many people sign in at this moment; try again in a while.')
    return done
  }
  return {
    set: async (accountId, password, by) => {
      const member = deps.directory().findByAccountId(accountId)
      if (member?.kind !== 'person' || !member.isActive)
        throw new Problem(NO_SUCH_ACCOUNT, 'Only the account of an active person has a password.')
      const text = spell(password.reveal())
      checkStrength(text, member.userId)
      const hashed = await inTurn(() => hash(text, COST))
      const row = { accountId, hash: hashed, at: deps.clock.now() }
      await audited(deps, { what: 'password.set', by, extra: { account: accountId, userId: member.userId } }, () =>
        deps.store.save(row),
      )
    },
    has: async (accountId) => (await deps.store.find(accountId)) !== undefined,
    matches: async (userId, password) => {
      const member = deps.directory().findByUserId(userId)
      const stored = member?.isActive && member.kind === 'person' ? await deps.store.find(member.accountId) : undefined
      const text = spell(password.reveal().slice(0, MAX_CHARS + 1))
      const fits = await inTurn(() => verify(stored ?? NOBODY, text))
      return fits && stored !== undefined
    },
  }
}

/** One spelling of letters that can be typed in several ways. */
function spell(password: string): string {
  return password.normalize('NFKC')
}

function checkStrength(password: string, userId: string): void {
  if (password.length < MIN_CHARS || password.length > MAX_CHARS)
    throw new Problem(BAD_PASSWORD, `A password has ${MIN_CHARS} to ${MAX_CHARS} characters.`)
  const lower = password.toLowerCase()
  const name = userId.toLowerCase()
  if (lower.includes(name) || lower.includes(name.split('@')[0] || name))
    throw new Problem(BAD_PASSWORD, 'A password may not hold the name it belongs to.')
  if (new Set(lower).size < 5 || /^(?:password|passwort|qwerty|letmein|welcome|1234567890)[\d!?.]*$/.test(lower))
    throw new Problem(BAD_PASSWORD, 'This password is among the first that others would guess; choose another.')
}
