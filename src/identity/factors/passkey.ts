import { generateRegistrationOptions, verifyRegistrationResponse } from '@simplewebauthn/server'
import { newId, Problem } from '#kernel'
import { audited } from '../audited.ts'
import { BAD_FACTOR, NO_SUCH_FACTOR } from '../problems.ts'
import type { Actor } from '../schema.ts'
import { CEREMONY_MS, type Ceremonies, type Ceremony } from './ceremony.ts'
import type { FactorParts } from './parts.ts'
import { isOfOnePage, readAdded } from './passkey-answer.ts'
import type { Passkey, PasskeyStore } from './passkey-store.ts'
import type { RelyingParty } from './relying-party.ts'

export type PasskeyDeps = FactorParts & {
  readonly store: PasskeyStore
  readonly ceremonies: Ceremonies
  readonly relyingParty: () => RelyingParty
}
/** What the browser is told, and what comes back unread with its answer. */
export type Begun = { readonly options: object; readonly state: string }

const MAX_PASSKEYS = 20
const MAX_NAME_CHARS = 100
/** EdDSA, ES256 and RS256: what authenticators have. */
const ALGORITHMS = [-8, -7, -257]

/** Asks for a passkey that can sign in alone, so that checks a finger or a PIN, on an authenticator that has none yet. */
export async function beginPasskey(deps: PasskeyDeps, accountId: string): Promise<Begun> {
  const { userId } = deps.activePerson(accountId)
  const { rpID } = deps.relyingParty()
  const existing = await deps.store.list(accountId)
  if (existing.length >= MAX_PASSKEYS)
    throw new Problem(BAD_FACTOR, `An account has at most ${MAX_PASSKEYS} passkeys; remove one first.`)
  const { state, challenge } = await deps.ceremonies.begin('add', accountId)
  const options = await generateRegistrationOptions({
    rpName: 'Gatehouse',
    rpID,
    userName: userId,
    userID: Uint8Array.from(Buffer.from(accountId)),
    challenge,
    timeout: CEREMONY_MS,
    attestationType: 'none',
    excludeCredentials: existing.map(({ credentialId, transports }) => ({ id: credentialId, transports })),
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
    supportedAlgorithmIDs: ALGORITHMS,
  })
  return { options, state }
}

/** Throws a Problem when the answer is not to what this account was asked, is late, or comes again. */
export async function finishPasskey(
  deps: PasskeyDeps,
  accountId: string,
  given: { state: string; answer: unknown; name: string },
  by: Actor,
): Promise<void> {
  const { userId } = deps.activePerson(accountId)
  const ceremony = await deps.ceremonies.take('add', given.state)
  if (ceremony?.accountId !== accountId) throw await refuse(deps, accountId, 'used')
  const made = await verifyAdded(deps, ceremony, given.answer)
  if (made === null) throw await refuse(deps, accountId, 'wrong')
  const name = given.name.trim().slice(0, MAX_NAME_CHARS) || 'Passkey'
  const passkey = { ...made, id: newId('pk'), accountId, name, createdAt: deps.clock.now(), lastUsedAt: null }
  const extra = { account: accountId, userId, kind: 'passkey', passkey: passkey.id }
  const isNew = await audited(deps, { what: 'factor.added', by, extra }, () => deps.store.insert(passkey))
  if (isNew) return
  await deps.refused(accountId, 'passkey', 'used')
  throw new Problem(BAD_FACTOR, 'This passkey is set up already.')
}

/** Ends it, for an account that is not active as well. Another account's is not found. */
export async function removePasskey(deps: PasskeyDeps, accountId: string, id: string, by: Actor): Promise<void> {
  const found = (await deps.store.list(accountId)).find((passkey) => passkey.id === id)
  if (!found) throw new Problem(NO_SUCH_FACTOR, 'There is no such passkey; the account page shows those there are.')
  const extra = { account: accountId, userId: deps.userIdOf(accountId), kind: 'passkey', passkey: id }
  await audited(deps, { what: 'factor.removed', by, extra }, () => deps.store.remove(id))
}

type Made = Pick<Passkey, 'credentialId' | 'publicKey' | 'counter' | 'transports' | 'isBackedUp'>

async function verifyAdded(deps: PasskeyDeps, ceremony: Ceremony, answer: unknown): Promise<Made | null> {
  const response = readAdded(answer)
  if (response === null || !isOfOnePage(response)) return null
  const { rpID, origin } = deps.relyingParty()
  const verified = await verifyRegistrationResponse({
    response,
    expectedChallenge: (challenge) => ceremony.isChallenge(challenge),
    expectedOrigin: origin,
    expectedRPID: rpID,
    requireUserVerification: true,
    supportedAlgorithmIDs: ALGORITHMS,
  }).catch(() => null) // whatever is wrong with it, it is not what was asked for
  if (!verified?.verified) return null
  const { credential, credentialBackedUp } = verified.registrationInfo
  return {
    credentialId: credential.id,
    publicKey: Uint8Array.from(credential.publicKey),
    counter: credential.counter,
    transports: response.response.transports,
    isBackedUp: credentialBackedUp,
  }
}

async function refuse(deps: PasskeyDeps, accountId: string, reason: 'used' | 'wrong'): Promise<Problem> {
  await deps.refused(accountId, 'passkey', reason)
  return new Problem(BAD_FACTOR, 'The passkey could not be set up; begin again.')
}
