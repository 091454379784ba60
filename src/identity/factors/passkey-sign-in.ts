import { generateAuthenticationOptions, verifyAuthenticationResponse } from '@simplewebauthn/server'
import { CEREMONY_MS, type Ceremony } from './ceremony.ts'
import { isOfOnePage, readSignedIn } from './passkey-answer.ts'
import type { Begun, PasskeyDeps } from './passkey.ts'
import type { Passkey } from './passkey-store.ts'

type Answer = NonNullable<ReturnType<typeof readSignedIn>>
type Refusal = { readonly accountId: string | null; readonly reason: 'wrong' | 'used' | 'counter' }

/** Asks for any passkey of this house (`null`), or for one of this account. */
export async function beginPasskeySignIn(deps: PasskeyDeps, accountId: string | null): Promise<Begun> {
  const { rpID } = deps.relyingParty()
  const allowed = accountId === null ? [] : await deps.store.list(accountId)
  const { state, challenge } = await deps.ceremonies.begin('sign-in', accountId)
  const options = await generateAuthenticationOptions({
    rpID,
    challenge,
    timeout: CEREMONY_MS,
    userVerification: 'required',
    allowCredentials: allowed.map(({ credentialId, transports }) => ({ id: credentialId, transports })),
  })
  return { options, state }
}

/** Whose passkey answered; null when that is not sure. Why is told to the audit trail alone. */
export async function finishPasskeySignIn(
  deps: PasskeyDeps,
  given: { state: string; answer: unknown },
): Promise<{ accountId: string } | null> {
  const outcome = await judge(deps, given)
  if (!('reason' in outcome)) return outcome
  await deps.refused(outcome.accountId, 'passkey', outcome.reason)
  return null
}

async function judge(
  deps: PasskeyDeps,
  given: { state: string; answer: unknown },
): Promise<{ accountId: string } | Refusal> {
  const ceremony = await deps.ceremonies.take('sign-in', given.state)
  if (ceremony === null) return { accountId: null, reason: 'used' }
  const answer = readSignedIn(given.answer)
  const passkey = answer === null ? undefined : await deps.store.findByCredential(answer.id)
  if (answer === null || passkey === undefined) return { accountId: ceremony.accountId, reason: 'wrong' }
  const { accountId } = passkey
  const verified = isMeant(deps, { ceremony, passkey, answer }) ? await verify(deps, ceremony, passkey, answer) : null
  if (verified === null) return { accountId, reason: 'wrong' }
  const isCounted = await deps.store.use({ id: passkey.id, ...verified, at: deps.clock.now() })
  return isCounted ? { accountId } : { accountId, reason: 'counter' }
}

/** Where nobody said who they are, the authenticator must. */
function isMeant(deps: PasskeyDeps, said: { ceremony: Ceremony; passkey: Passkey; answer: Answer }): boolean {
  const { ceremony, passkey, answer } = said
  const { userHandle } = answer.response
  const handle = userHandle === undefined ? ceremony.accountId : Buffer.from(userHandle, 'base64url').toString()
  const isForIt = ceremony.accountId === null || ceremony.accountId === passkey.accountId
  const isSaid = isForIt && handle === passkey.accountId && isOfOnePage(answer)
  return isSaid && deps.isActive(passkey.accountId)
}

async function verify(
  deps: PasskeyDeps,
  ceremony: Ceremony,
  passkey: Passkey,
  answer: Answer,
): Promise<{ counter: number; isBackedUp: boolean } | null> {
  const { rpID, origin } = deps.relyingParty()
  const verified = await verifyAuthenticationResponse({
    response: answer,
    expectedChallenge: (challenge) => ceremony.isChallenge(challenge),
    expectedOrigin: origin,
    expectedRPID: rpID,
    requireUserVerification: true,
    // Counting is left to the database, where nobody comes between.
    credential: { id: passkey.credentialId, publicKey: passkey.publicKey, counter: 0 },
  }).catch(() => null) // whatever is wrong with it, it is not what was asked for
  if (!verified?.verified) return null
  const { newCounter, credentialBackedUp } = verified.authenticationInfo
  return { counter: newCounter, isBackedUp: credentialBackedUp }
}
