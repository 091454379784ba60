import type { Audit } from '#audit'
import type { Clock } from '#kernel'
import type { Storage } from '#storage'
import type { Directory } from '../principal.ts'
import type { Actor } from '../schema.ts'
import { createCeremonies } from './ceremony.ts'
import { createCeremonyStore } from './ceremony-store.ts'
import { createFactorParts } from './parts.ts'
import { beginPasskeySignIn, finishPasskeySignIn } from './passkey-sign-in.ts'
import { createPasskeyStore, type Passkey } from './passkey-store.ts'
import { beginPasskey, finishPasskey, removePasskey, type Begun, type PasskeyDeps } from './passkey.ts'
import { createRecoveryStore } from './recovery-store.ts'
import { checkRecoveryCode, makeRecoveryCodes } from './recovery.ts'
import { relyingPartyOf } from './relying-party.ts'
import { resetFactors } from './removal.ts'
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
  /** Options for the browser, and what must be handed back with its answer: once, within five minutes. */
  beginPasskey(accountId: string): Promise<Begun>
  finishPasskey(accountId: string, answer: { state: string; answer: unknown; name: string }, by: Actor): Promise<void>
  removePasskey(accountId: string, id: string, by: Actor): Promise<void>
  /** For a passkey alone (`null`), or as the second factor of one account. */
  beginPasskeySignIn(accountId: string | null): Promise<Begun>
  /** Ends all of them at once, the password as well; only a link lets the person in again. */
  reset(accountId: string, by: Actor): Promise<void>
  /** Whose passkey it is: where the ceremony was begun for an account, this one and no other. Null when refused. */
  finishPasskeySignIn(answer: { state: string; answer: unknown }): Promise<{ accountId: string } | null>
}

export type FactorList = {
  readonly hasPassword: boolean
  readonly hasTotp: boolean
  readonly passkeys: readonly Pick<Passkey, 'id' | 'name' | 'createdAt' | 'lastUsedAt' | 'isBackedUp'>[]
  readonly recoveryCodesLeft: number
}

type Deps = {
  readonly storage: Storage
  readonly audit: Pick<Audit, 'record'>
  readonly clock: Clock
  readonly directory: () => Directory
  /** Where browsers reach the house; passkeys are made for its domain. */
  readonly publicUrl?: (() => string) | undefined
}

export async function createFactors(deps: Deps): Promise<Factors> {
  const seal = createSecretSeal(await deps.storage.sharedKey('identity.factors'))
  const parts = createFactorParts(deps)
  const passwords = createPasswordStore(deps.storage)
  const totp = { ...parts, store: createTotpStore(deps.storage), seal }
  const recovery = { ...parts, store: createRecoveryStore(deps.storage) }
  const passkeys: PasskeyDeps = {
    ...parts,
    store: createPasskeyStore(deps.storage),
    ceremonies: createCeremonies({ store: createCeremonyStore(deps.storage), clock: deps.clock }),
    relyingParty: () => relyingPartyOf(deps.publicUrl?.() ?? 'http://localhost'),
  }
  return {
    list: async (accountId) => ({
      hasPassword: (await passwords.find(accountId)) !== undefined,
      hasTotp: (await totp.store.find(accountId))?.sealed != null,
      passkeys: (await passkeys.store.list(accountId)).map(showPasskey),
      recoveryCodesLeft: await recovery.store.countLeft(accountId),
    }),
    reset: (accountId, by) => resetFactors({ ...parts, storage: deps.storage }, accountId, by),
    beginTotp: (accountId) => beginTotp(totp, accountId),
    finishTotp: (accountId, code, by) => finishTotp(totp, accountId, code, by),
    removeTotp: (accountId, by) => removeTotp(totp, accountId, by),
    checkTotp: ({ accountId, code }) => checkTotp(totp, accountId, code),
    makeRecoveryCodes: (accountId, by) => makeRecoveryCodes(recovery, accountId, by),
    checkRecoveryCode: ({ accountId, code }) => checkRecoveryCode(recovery, accountId, code),
    beginPasskey: (accountId) => beginPasskey(passkeys, accountId),
    finishPasskey: (accountId, answer, by) => finishPasskey(passkeys, accountId, answer, by),
    removePasskey: (accountId, id, by) => removePasskey(passkeys, accountId, id, by),
    beginPasskeySignIn: (accountId) => beginPasskeySignIn(passkeys, accountId),
    finishPasskeySignIn: (answer) => finishPasskeySignIn(passkeys, answer),
  }
}

function showPasskey({ id, name, createdAt, lastUsedAt, isBackedUp }: Passkey) {
  return { id, name, createdAt, lastUsedAt, isBackedUp }
}
