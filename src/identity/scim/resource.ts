import { etagOf } from './etag.ts'
import { GROUP_SCHEMA, LIST_SCHEMA, USER_SCHEMA } from './schema.ts'
import type { ScimGroupRow, ScimUserRow } from './store.ts'

/** Where a resource is: the address of SCIM at this house, as the client has called it. */
export type Place = (path: string) => string
export type Membership = {
  readonly groupId: string
  readonly group: string
  readonly accountId: string
  readonly userName: string
}

export function showUser(user: ScimUserRow, memberships: readonly Membership[], place: Place) {
  const { displayName, givenName, familyName, email } = user
  const formatted = [givenName, familyName].filter(Boolean).join(' ') || displayName
  return {
    schemas: [USER_SCHEMA],
    id: user.id,
    ...(user.externalId === null ? {} : { externalId: user.externalId }),
    userName: user.userName,
    ...(displayName === null ? {} : { displayName }),
    name: {
      ...(formatted === null ? {} : { formatted }),
      ...(givenName === null ? {} : { givenName }),
      ...(familyName === null ? {} : { familyName }),
    },
    emails: email === null ? [] : [{ value: email, type: 'work', primary: true }],
    active: user.isActive,
    groups: memberships.map(({ groupId, group }) => ({
      value: groupId,
      display: group,
      $ref: place(`Groups/${groupId}`),
    })),
    meta: {
      resourceType: 'User',
      created: new Date(user.createdAt).toISOString(),
      lastModified: new Date(user.changedAt).toISOString(),
      location: place(`Users/${user.id}`),
      version: etagOf(user),
    },
  }
}

export function showGroup(group: ScimGroupRow, memberships: readonly Membership[], place: Place) {
  return {
    schemas: [GROUP_SCHEMA],
    id: group.id,
    ...(group.externalId === null ? {} : { externalId: group.externalId }),
    displayName: group.name,
    members: memberships.map(({ accountId, userName }) => ({
      value: accountId,
      display: userName,
      $ref: place(`Users/${accountId}`),
    })),
    meta: {
      resourceType: 'Group',
      created: new Date(group.createdAt).toISOString(),
      location: place(`Groups/${group.id}`),
      version: etagOf(group),
    },
  }
}

export function showList(found: { total: number; startIndex: number; resources: readonly object[] }) {
  const { total, startIndex, resources } = found
  return {
    schemas: [LIST_SCHEMA],
    totalResults: total,
    startIndex,
    itemsPerPage: resources.length,
    Resources: resources,
  }
}
