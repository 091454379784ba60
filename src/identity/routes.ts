import type { Handlers } from '#http'
import type { identityContract } from './contract.ts'
import type { Identity } from './service.ts'

/** Answers the operations of `identityContract`. */
export function identityRoutes(identity: Identity): Handlers<typeof identityContract> {
  return {
    createKey: ({ body }, { caller }) => identity.createKey(body, caller),
    listKeys: ({ query }) => identity.listKeys(query),
    revokeKey: ({ params }, { caller }) => identity.revokeKey(params.id, caller),
  }
}
