import type { Handlers } from '#http'
import type { accountsContract } from './contract.ts'
import type { Identity } from '../service.ts'

/** Answers the operations of `accountsContract`. */
export function accountsRoutes({
  accounts,
  links,
  sessions,
  factors,
}: Pick<Identity, 'accounts' | 'links' | 'sessions' | 'factors'>): Handlers<typeof accountsContract> {
  return {
    createAccount: ({ body }, { caller }) => accounts.create(body, caller),
    listAccounts: ({ query }) => accounts.list(query),
    showAccount: ({ params }) => accounts.get(params.account),
    updateAccount: ({ params, body }, { caller }) => accounts.update(params.account, body, caller),
    handOverAccount: ({ params, body }, { caller }) => accounts.handOver(params.account, body.source, caller),
    removeAccount: ({ params }, { caller }) => accounts.remove(params.account, caller),
    createGroup: ({ body }, { caller }) => accounts.createGroup(body.name, caller),
    listGroups: async () => ({ groups: [...(await accounts.listGroups())] }),
    removeGroup: ({ params }, { caller }) => accounts.removeGroup(params.group, caller),
    addGroupMember: ({ params }, { caller }) => accounts.addMember(params.group, params.account, caller),
    removeGroupMember: ({ params }, { caller }) => accounts.removeMember(params.group, params.account, caller),
    linkAccount: async ({ params }, { caller }) => {
      const { token, userId, expiresAt } = await links.create(params.account, caller)
      return { userId, expiresAt, path: `/setup/${token}` }
    },
    listFactors: async ({ params }) => {
      const { passkeys, ...others } = await factors.list((await accounts.get(params.account)).id)
      const shown = passkeys.map(({ id, name, createdAt, lastUsedAt }) => ({ id, name, createdAt, lastUsedAt }))
      return { ...others, passkeys: shown }
    },
    resetFactors: async ({ params }, { caller }) => {
      const { id } = await accounts.get(params.account)
      await factors.reset(id, caller)
      await sessions.endOthers(id, null, caller)
    },
    listSessions: async ({ params }) => {
      const { id } = await accounts.get(params.account)
      return { sessions: await sessions.list(id) }
    },
    endSession: async ({ params }, { caller }) => {
      const { id } = await accounts.get(params.account)
      if (params.session === '*') return sessions.endOthers(id, null, caller)
      return sessions.end(id, params.session, caller)
    },
  }
}
