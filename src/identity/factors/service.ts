import type { Audit } from '#audit'
import type { Clock } from '#kernel'
import type { Storage } from '#storage'
import type { Directory } from '../principal.ts'
import type { Actor } from '../schema.ts'
import { createFactorParts } from './parts.ts'
import { createRecoveryStore } from './recovery-store.ts'
import { checkRecoveryCode, makeRecoveryCodes } from './recovery.ts'
import { createSecretSeal } from './secret-seal.ts'
import { createPasswordStore } from './store.ts'
import { createTotpStore } from './totp-store.ts'
import { beginTotp, checkTotp, finishTotp, removeTotp } from './totp.ts'

/** What an account proves itself with besides a password. None of the checks slows down guessing: whoever asks does. */
export type Factors = {
  list(accountId: string): Promise<FactorList>
  /** A secret to be confirmed with its first code; until then nothing changes. */
  beginTotp(accountId: string): Promise<{ secret: string; uri: string }>
  /** Throws a Problem when the code does not fit or nothing was begun. */
  finishTotp(accountId: string, code: string, by: Actor): Promise<void>
  removeTotp(accountId: string, by: Actor): Promise<void>
  /** `used`: the code was right, and somebody has entered it (or a later one) before. */
  checkTotp(attempt: { accountId: string; code: string }): Promise<'ok' | 'wrong' | 'used'>
  /** Ten codes, told only now; those before are no longer good. */
  makeRecoveryCodes(accountId: string, by: Actor): Promise<readonly string[]>
  checkRecoveryCode(attempt: { accountId: string; code: string }): Promise<'ok' | 'wrong' | 'used'>
}

export type FactorList = {
  readonly hasPassword: boolean
  readonly hasTotp: boolean
  readonly recoveryCodesLeft: number
}

type Deps = {
  readonly storage: Storage
  readonly audit: Pick<Audit, 'record'>
  readonly clock: Clock
  readonly directory: () => Directory
}

export async function createFactors(deps: Deps): Promise<Factors> {
  const seal = createSecretSeal(await deps.storage.sharedKey('identity.factors'))
  const parts = createFactorParts(deps)
  const passwords = createPasswordStore(deps.storage)
  const totp = { ...parts, store: createTotpStore(deps.storage), seal }
  const recovery = { ...parts, store: createRecoveryStore(deps.storage) }
  return {
    list: async (accountId) => ({
      hasPassword: (await passwords.find(accountId)) !== undefined,
      hasTotp: (await totp.store.find(accountId))?.sealed != null,
      recoveryCodesLeft: await recovery.store.countLeft(accountId),
    }),
    beginTotp: (accountId) => beginTotp(totp, accountId),
    finishTotp: (accountId, code, by) => finishTotp(totp, accountId, code, by),
    removeTotp: (accountId, by) => removeTotp(totp, accountId, by),
    checkTotp: ({ accountId, code }) => checkTotp(totp, accountId, code),
    makeRecoveryCodes: (accountId, by) => makeRecoveryCodes(recovery, accountId, by),
    checkRecoveryCode: ({ accountId, code }) => checkRecoveryCode(recovery, accountId, code),
  }
}
