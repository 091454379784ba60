import type { EntityUidJson, EntityJson } from '@cedar-policy/cedar-wasm/nodejs'
import type { Json, JsonObject } from '#kernel'
import type { Principal } from '#identity'

/** How Cedar names a thing: `User::"alice@example.com"`. */
export type Uid = { readonly type: string; readonly id: string }

/** The types that a principal can be or belong to. */
export const SUBJECT_TYPES: ReadonlySet<string> = new Set(['User', 'SystemAccount', 'Group', 'Role', 'Client', 'Key'])

export function uidText({ type, id }: Uid): string {
  return `${type}::${JSON.stringify(id)}`
}

/** The entity in any of the forms that Cedar's JSON has for it. */
export function uidOf(entity: EntityUidJson): Uid {
  return '__entity' in entity ? entity.__entity : entity
}

/** Everything a policy can mean this principal by: itself, its groups, its role, and through what it came. */
export function subjectsOf(principal: Principal): readonly Uid[] {
  return [selfOf(principal), ...parentsOf(principal)]
}

export function selfOf({ kind, userId }: Principal): Uid {
  return { type: kind === 'system' ? 'SystemAccount' : 'User', id: userId }
}

function parentsOf({ groups, role, clientId, keyId }: Principal): Uid[] {
  return [
    ...groups.map((id) => ({ type: 'Group', id })),
    ...(role === null ? [] : [{ type: 'Role', id: role }]),
    ...(clientId === null ? [] : [{ type: 'Client', id: clientId }]),
    ...(keyId === null ? [] : [{ type: 'Key', id: keyId }]),
  ]
}

/** The principal as Cedar sees it. Claims are its tags: each a set of texts. */
export function subjectEntity(principal: Principal): EntityJson {
  return {
    uid: selfOf(principal),
    attrs: { userId: principal.userId, kind: principal.kind },
    parents: parentsOf(principal),
    tags: claimTags(principal.claims),
  }
}

function claimTags(claims: JsonObject): Record<string, string[]> {
  return Object.fromEntries(Object.entries(claims).map(([name, value]) => [name, textsOf(value)]))
}

function textsOf(value: Json | undefined): string[] {
  if (value === undefined || value === null) return []
  if (Array.isArray(value)) return value.flatMap((item: Json) => textsOf(item))
  return [typeof value === 'string' ? value : JSON.stringify(value)]
}
