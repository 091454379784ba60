import type { Member, Principal } from '#identity'
import type { Admission } from '../tools.ts'

/** A principal of whom nothing is known but a name and what they came with. */
export function principalOf(
  named: Pick<Principal, 'userId' | 'keyId' | 'gateways'>,
  kind: Principal['kind'] = 'unknown',
): Principal {
  return { ...named, kind, accountId: null, role: null, groups: [], claims: {}, clientId: null, scopes: null }
}

/** The same admission for as long as something is open: with the groups, role and claims that its user has by now. */
export function renewed(admission: Admission, findMember: (userId: string) => Member | null): Admission {
  const { principal } = admission
  if (principal.kind === 'anonymous' || principal.kind === 'local-admin') return admission
  const member = findMember(principal.userId)
  if (member === null && principal.kind === 'unknown') return admission
  const { kind, accountId, role, groups, claims } = member ?? principalOf(principal)
  return { ...admission, principal: { ...principal, kind, accountId, role, groups, claims } }
}
