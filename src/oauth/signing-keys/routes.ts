import type { Handlers } from '#http'
import type { signingKeysContract } from './contract.ts'
import type { KeyRing } from './ring.ts'

/** Answers the operations of `signingKeysContract`. */
export function signingKeysRoutes(ring: Pick<KeyRing, 'list' | 'rotate'>): Handlers<typeof signingKeysContract> {
  return {
    listSigningKeys: () => ({ keys: [...ring.list()] }),
    rotateSigningKeys: async ({ body }, { caller }) => ({ keys: [...(await ring.rotate(body, caller))] }),
  }
}
