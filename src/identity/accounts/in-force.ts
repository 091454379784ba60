import type { JsonObject } from '#kernel'
import type { Member } from '../principal.ts'

/** An account as it is stored. What an upstream source said of it ends by itself when nobody says it again. */
export type StoredMember = Omit<Member, 'groups' | 'claims'> & {
  readonly memberships: readonly { readonly group: string; readonly until: number | null }[]
  readonly claims: JsonObject
  readonly claimsUntil: number | null
}

export function isInForce(until: number | null, now: number): boolean {
  return until === null || until > now
}

/** The account as it counts at this moment. */
export function memberAt({ memberships, claims, claimsUntil, ...member }: StoredMember, now: number): Member {
  const groups = memberships.filter(({ until }) => isInForce(until, now)).map(({ group }) => group)
  return { ...member, groups: [...new Set(groups)].toSorted(), claims: isInForce(claimsUntil, now) ? claims : {} }
}

/** When the next of all these things ends. */
export function nextEnd(members: readonly StoredMember[], now: number): number {
  let next = Infinity
  for (const { memberships, claimsUntil } of members) {
    for (const until of [claimsUntil, ...memberships.map((one) => one.until)])
      if (until !== null && until > now && until < next) next = until
  }
  return next
}
