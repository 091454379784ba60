import type { Handlers } from '#http'
import { explainWithHooks } from './ask/explain-with-hooks.ts'
import type { policyContract } from './contract.ts'
import type { Hooks } from './hooks/service.ts'
import type { PolicyRoom } from './service.ts'

/** Answers the operations of `policyContract`. */
export function policyRoutes(
  policy: PolicyRoom,
  hooks: Pick<Hooks, 'concerning' | 'question'>,
): Handlers<typeof policyContract> {
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
    explainPolicy: ({ body }) => explainWithHooks({ policy, hooks }, body),
    explainAdmin: ({ body }) => policy.explainAdmin(body),
    findAdminHolders: () => policy.findHolders(),
    replayPolicy: ({ body }) => policy.replay(body),
  }
}
