import type { Handlers } from '#http'
import type { accountsContract } from './contract.ts'
import type { Accounts } from './service.ts'

/** Answers the operations of `accountsContract`. */
export function accountsRoutes(accounts: Accounts): Handlers<typeof accountsContract> {
  return {
    createAccount: ({ body }, { caller }) => accounts.create(body, caller),
    listAccounts: ({ query }) => accounts.list(query),
    showAccount: ({ params }) => accounts.get(params.account),
    updateAccount: ({ params, body }, { caller }) => accounts.update(params.account, body, caller),
    removeAccount: ({ params }, { caller }) => accounts.remove(params.account, caller),
    createGroup: ({ body }, { caller }) => accounts.createGroup(body.name, caller),
    listGroups: async () => ({ groups: [...(await accounts.listGroups())] }),
    removeGroup: ({ params }, { caller }) => accounts.removeGroup(params.group, caller),
    addGroupMember: ({ params }, { caller }) => accounts.addMember(params.group, params.account, caller),
    removeGroupMember: ({ params }, { caller }) => accounts.removeMember(params.group, params.account, caller),
  }
}
