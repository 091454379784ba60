import { Problem } from '#kernel'
import type { AuthorizationServer } from './ports.ts'
import { NO_SUCH_SIGN_IN } from './problems.ts'

const nothing = async (): Promise<never> => {
  throw new Problem(NO_SUCH_SIGN_IN, 'That code is not known, or its time is over.')
}

/** Where no program can ask anybody: nothing waits, and nobody has allowed anything. */
export const WITHOUT_SERVER: AuthorizationServer = {
  findInteraction: async () => null,
  allow: nothing,
  deny: nothing,
  findDevice: nothing,
  allowDevice: nothing,
  denyDevice: nothing,
  grants: async () => [],
  revokeGrant: nothing,
}
