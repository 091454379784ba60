import type { Directory, Member, Principal } from '../principal.ts'

/** Everybody, ready to be asked. It never changes; a change of an account is a new directory. */
export function buildDirectory(members: readonly Member[]): Directory {
  const byUserId = new Map(members.map((member) => [member.userId, member]))
  const byAccountId = new Map(members.map((member) => [member.accountId, member]))
  return {
    findByUserId: (userId) => byUserId.get(userId) ?? null,
    findByAccountId: (accountId) => byAccountId.get(accountId) ?? null,
    all: () => members,
  }
}

/** Whom a request is made for that came with a key; null where the account of that name is not active. */
export function toPrincipal(
  directory: Directory,
  named: Pick<Principal, 'userId' | 'keyId' | 'gateways'>,
): Principal | null {
  const { userId, keyId, gateways } = named
  const through = { userId, keyId, gateways, clientId: null, scopes: null }
  const member = directory.findByUserId(userId)
  if (member === null) return { ...through, kind: 'unknown', accountId: null, role: null, groups: [], claims: {} }
  if (!member.isActive) return null
  const { kind, accountId, role, groups, claims } = member
  return { ...through, kind, accountId, role, groups, claims }
}
