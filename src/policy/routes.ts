import type { Handlers } from '#http'
import type { policyContract } from './contract.ts'
import type { PolicyRoom } from './service.ts'

/** Answers the operations of `policyContract`. */
export function policyRoutes(policy: PolicyRoom): Handlers<typeof policyContract> {
  return {
    addGrant: ({ body }, { caller }) => policy.addGrant(body, caller),
    listGrants: ({ query }) => policy.listGrants(query),
    removeGrant: ({ params }, { caller }) => policy.removeGrant(params.id, caller),
  }
}
