import { hash, randomBytes } from 'node:crypto'
import { Problem, type Clock } from '#kernel'
import { SIGN_IN_BUSY } from '../problems.ts'
import type { CeremonyPurpose, CeremonyStore } from './ceremony-store.ts'

/** What a browser is asked and answers: a challenge that is answered once, in five minutes, for what it was made for. */
export type Ceremonies = {
  /** `accountId` is null where nobody has said yet who they are. */
  begin(
    purpose: CeremonyPurpose,
    accountId: string | null,
  ): Promise<{ state: string; challenge: Uint8Array<ArrayBuffer> }>
  /** Ends it. Null when there is none (any more) of this state and purpose, also when somebody was faster. */
  take(purpose: CeremonyPurpose, state: string): Promise<Ceremony | null>
}

export type Ceremony = { readonly accountId: string | null; isChallenge(challenge: string): boolean }

export const CEREMONY_MS = 5 * 60_000
const MAX_OF_ACCOUNT = 50
const MAX_OF_NOBODY = 20_000
const MAX_STATE_CHARS = 100

export function createCeremonies({
  store,
  clock,
}: {
  readonly store: CeremonyStore
  readonly clock: Clock
}): Ceremonies {
  return {
    begin: async (purpose, accountId) => {
      const now = clock.now()
      await store.sweep(now)
      if ((await store.count(accountId)) >= (accountId === null ? MAX_OF_NOBODY : MAX_OF_ACCOUNT))
        throw new Problem(SIGN_IN_BUSY, 'Too many begin with a passkey at this moment; try again in some minutes.')
      const state = randomBytes(32).toString('base64url')
      const challenge = Uint8Array.from(randomBytes(32))
      await store.insert({
        id_hash: digest(state),
        challenge_hash: digest(Buffer.from(challenge).toString('base64url')),
        purpose,
        account_id: accountId,
        expires_at: now + CEREMONY_MS,
      })
      return { state, challenge }
    },
    take: async (purpose, state) => {
      if (state.length > MAX_STATE_CHARS) return null
      const row = await store.take({ idHash: digest(state), purpose, now: clock.now() })
      if (row === undefined) return null
      return { accountId: row.account_id, isChallenge: (given) => digest(given) === row.challenge_hash }
    },
  }
}

function digest(text: string): string {
  return hash('sha256', text, 'base64url')
}
