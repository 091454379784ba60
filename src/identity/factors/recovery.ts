import { hash as digest, randomBytes } from 'node:crypto'
import { audited } from '../audited.ts'
import type { Actor } from '../schema.ts'
import type { FactorParts } from './parts.ts'
import type { RecoveryStore } from './recovery-store.ts'

export type RecoveryDeps = FactorParts & { readonly store: RecoveryStore }

const CODES = 10
/** 80 bits: nobody guesses them, so that a fast hash is enough. */
const CODE_CHARS = 16
/** Crockford's, without letters that are taken for digits. */
const LETTERS = '0123456789abcdefghjkmnpqrstvwxyz'
const MAX_TYPED_CHARS = 64

/** Makes ten codes, told only now, and ends all there were before. */
export async function makeRecoveryCodes(deps: RecoveryDeps, accountId: string, by: Actor): Promise<readonly string[]> {
  const { userId } = deps.activePerson(accountId)
  const salt = randomBytes(16).toString('base64url')
  const codes = Array.from({ length: CODES }, mintCode)
  const made = { accountId, salt, hashes: codes.map((code) => hashCode(salt, code)), at: deps.clock.now() }
  const extra = { account: accountId, userId, kind: 'recovery-codes', count: CODES }
  await audited(deps, { what: 'factor.added', by, extra }, () => deps.store.replace(made))
  return codes.map((code) => code.replaceAll(/(.{4})(?=.)/g, '$1-'))
}

/** Whether the code is one of the account's newest ten. It is thereby used up: of many at once, one is `ok`. */
export async function checkRecoveryCode(
  deps: RecoveryDeps,
  accountId: string,
  typed: string,
): Promise<'ok' | 'wrong' | 'used'> {
  const code = readCode(typed)
  const salt = code === null || !deps.isActive(accountId) ? undefined : await deps.store.findSalt(accountId)
  if (code === null || salt === undefined) return deps.refused(accountId, 'recovery-codes', 'wrong')
  const hash = hashCode(salt, code)
  if (!(await deps.store.isKnown(accountId, hash))) return deps.refused(accountId, 'recovery-codes', 'wrong')
  const userId = deps.userIdOf(accountId)
  if (!(await deps.store.use({ accountId, hash, at: deps.clock.now() })))
    return deps.refused(accountId, 'recovery-codes', 'used')
  const left = await deps.store.countLeft(accountId)
  const extra = { account: accountId, kind: 'recovery-codes', left }
  await deps.audit.record({ what: 'factor.used', userId, decision: 'allowed', extra })
  return 'ok'
}

function mintCode(): string {
  // 256 is a whole multiple of 32: every letter is as likely as any other.
  return Array.from(randomBytes(CODE_CHARS), (byte) => LETTERS.charAt(byte % LETTERS.length)).join('')
}

/** As it was made, however it was typed: with or without lines and spaces, in either case, `o` for 0, `i` or `l` for 1. */
function readCode(typed: string): string | null {
  if (typed.length > MAX_TYPED_CHARS) return null
  const plain = typed.toLowerCase().replaceAll(/[\s-]/g, '').replaceAll('o', '0').replaceAll(/[il]/g, '1')
  const isCode = plain.length === CODE_CHARS && Array.from(plain).every((letter) => LETTERS.includes(letter))
  return isCode ? plain : null
}

function hashCode(salt: string, code: string): string {
  return digest('sha256', `${salt}\0${code}`, 'base64url')
}
