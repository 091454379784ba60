import { Secret as TotpSecret, TOTP } from 'otpauth'
import { Problem } from '#kernel'
import { audited } from '../audited.ts'
import type { Member } from '../principal.ts'
import { BAD_FACTOR, NO_SUCH_FACTOR } from '../problems.ts'
import type { Actor } from '../schema.ts'
import type { FactorParts } from './parts.ts'
import type { SecretSeal } from './secret-seal.ts'
import type { TotpStore } from './totp-store.ts'

export type TotpDeps = FactorParts & { readonly store: TotpStore; readonly seal: SecretSeal }

const PERIOD_SECONDS = 30
/** Clocks of telephones differ: one step before and one after count as well. */
const WINDOW = 1
const DRAFT_LASTS_MS = 30 * 60_000
/** RFC 4226 §4: 160 bits. */
const SECRET_BYTES = 20

/** Makes a secret that is in use only after `finishTotp`; until then what was before stays. */
export async function beginTotp(deps: TotpDeps, accountId: string): Promise<{ secret: string; uri: string }> {
  const member = deps.activePerson(accountId)
  const secret = new TotpSecret({ size: SECRET_BYTES })
  await deps.store.saveDraft(accountId, deps.seal.seal(placeOf(accountId), secret.bytes), deps.clock.now())
  return { secret: secret.base32, uri: totpOf(secret, member).toString() }
}

/** Puts the secret in use with the first code made from it, which is thereby used up. */
export async function finishTotp(deps: TotpDeps, accountId: string, code: string, by: Actor): Promise<void> {
  const { userId } = deps.activePerson(accountId)
  const row = await deps.store.find(accountId)
  const now = deps.clock.now()
  if (row?.pending == null || (row.pending_at ?? 0) + DRAFT_LASTS_MS <= now)
    throw new Problem(BAD_FACTOR, 'No authenticator app is being set up; begin again and scan the new code.')
  const sealed = row.pending
  const step = findStep(deps, { accountId, sealed, code })
  if (step === null)
    throw new Problem(BAD_FACTOR, 'The code does not fit. Enter the six digits that the app shows now.')
  const extra = { account: accountId, userId, kind: 'totp' }
  const isFirst = await audited(deps, { what: 'factor.added', by, extra }, () =>
    deps.store.confirm({ accountId, sealed, step, at: now }),
  )
  if (!isFirst) throw new Problem(BAD_FACTOR, 'The authenticator app was set up anew meanwhile; begin again.')
}

/** Whether the code is one of now. Each is taken once, on whichever replica; after it none of an earlier step is. */
export async function checkTotp(deps: TotpDeps, accountId: string, code: string): Promise<'ok' | 'wrong' | 'used'> {
  const row = deps.isActive(accountId) ? await deps.store.find(accountId) : undefined
  const step = row?.sealed == null ? null : findStep(deps, { accountId, sealed: row.sealed, code })
  if (row?.sealed == null || step === null) return deps.refused(accountId, 'totp', 'wrong')
  const isFirst = await deps.store.takeStep({ accountId, sealed: row.sealed, step })
  return isFirst ? 'ok' : deps.refused(accountId, 'totp', 'used')
}

/** Ends it, for an account that is not active as well. */
export async function removeTotp(deps: TotpDeps, accountId: string, by: Actor): Promise<void> {
  const row = await deps.store.find(accountId)
  if (row?.sealed == null) throw new Problem(NO_SUCH_FACTOR, 'No authenticator app is set up for this account.')
  const extra = { account: accountId, userId: deps.userIdOf(accountId), kind: 'totp' }
  await audited(deps, { what: 'factor.removed', by, extra }, () => deps.store.remove(accountId))
}

/** The step whose code this is; null for everything else than exactly six ASCII digits that fit now. */
function findStep(deps: TotpDeps, given: { accountId: string; sealed: string; code: string }): number | null {
  if (!/^[0-9]{6}$/.test(given.code) || given.code.length !== 6) return null
  const secret = new TotpSecret({ buffer: deps.seal.open(placeOf(given.accountId), given.sealed).buffer })
  const timestamp = deps.clock.now()
  const distance = totpOf(secret).validate({ token: given.code, timestamp, window: WINDOW })
  return distance === null ? null : Math.floor(timestamp / 1000 / PERIOD_SECONDS) + distance
}

function totpOf(secret: TotpSecret, member?: Member): TOTP {
  const label = member?.userId ?? ''
  return new TOTP({ issuer: 'Gatehouse', label, algorithm: 'SHA1', digits: 6, period: PERIOD_SECONDS, secret })
}

function placeOf(accountId: string) {
  return { accountId, purpose: 'totp' }
}
