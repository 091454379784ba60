import type { Handlers } from '#http'
import type { policyContract } from './contract.ts'
import type { PolicyRoom } from './service.ts'

/** Answers the operations of `policyContract`. */
export function policyRoutes(policy: PolicyRoom): Handlers<typeof policyContract> {
  return {
    addGrant: ({ body }, { caller }) => policy.addGrant(body, caller),
    listGrants: ({ query }) => policy.listGrants(query),
    removeGrant: ({ params }, { caller }) => policy.removeGrant(params.id, caller),
    findGrantUsage: ({ query }) => policy.findUsage(query.days),
    getPolicy: () => policy.policyState(),
    getPolicySchema: () => ({ schema: policy.policySchema() }),
    checkPolicy: ({ body }) => policy.checkPolicy(body),
    putPolicy: ({ body }, { caller }) => policy.putPolicy(body, caller),
    showPolicy: ({ params }) => policy.showPolicy(params.version),
    activatePolicy: ({ body }, { caller }) => policy.activatePolicy(body.version, caller),
    rollbackPolicy: (_, { caller }) => policy.rollbackPolicy(caller),
    shadowPolicy: ({ body }, { caller }) => policy.shadowPolicy(body.version, caller),
    explainPolicy: ({ body }) => policy.explain(body),
    replayPolicy: ({ body }) => policy.replay(body),
  }
}
