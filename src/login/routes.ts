import type { Handlers } from '#http'
import type { loginContract } from './contract.ts'
import type { LoginPolicy } from './service.ts'

/** Answers the operations of `loginContract`. */
export function loginRoutes(policy: LoginPolicy): Handlers<typeof loginContract> {
  return {
    getLoginPolicy: () => policy.list(),
    addLoginRule: ({ body }, { caller }) => policy.add(body, caller),
    removeLoginRule: ({ params }, { caller }) => policy.remove(params.id, caller),
    listLoginPolicyVersions: async () => ({ versions: await policy.history() }),
    testLoginPolicy: ({ body }) => policy.test(body),
  }
}
