import type { Principal } from '#identity'
import type { World } from './world.ts'

/** Somebody as they are now, coming in with this key: their groups and role of today. */
export function personOf(world: Pick<World, 'member'>, who: { userId: string; keyId: string | null }): Principal {
  const member = world.member(who.userId)
  const known = member ?? { kind: 'unknown' as const, accountId: null, role: null, groups: [], claims: {} }
  const { kind, accountId, role, groups, claims } = known
  return { ...who, kind, accountId, role, groups, claims, clientId: null, scopes: null, gateways: ['*'] }
}

/** For questions in which it does not matter who asks: nobody whom a rule or a grant could name. */
export const SOMEBODY: Principal = {
  userId: 'somebody',
  kind: 'unknown',
  accountId: null,
  role: null,
  groups: [],
  claims: {},
  keyId: null,
  clientId: null,
  scopes: null,
  gateways: ['*'],
}
