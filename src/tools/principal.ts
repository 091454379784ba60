import type { Principal } from '#identity'

/** A principal of whom nothing is known but a name and what they came with. */
export function principalOf(
  named: Pick<Principal, 'userId' | 'keyId' | 'gateways'>,
  kind: Principal['kind'] = 'unknown',
): Principal {
  return { ...named, kind, accountId: null, role: null, groups: [], claims: {}, clientId: null, scopes: null }
}
