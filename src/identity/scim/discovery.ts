import type { Place } from './resource.ts'
import { showList } from './resource.ts'
import { GROUP_SCHEMA, USER_SCHEMA } from './schema.ts'
import { MAX_PAGE } from './users.ts'

/** What this house can do of SCIM (RFC 7643 §5). */
export function serviceProviderConfig(place: Place) {
  return {
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig'],
    patch: { supported: true },
    bulk: { supported: false, maxOperations: 0, maxPayloadSize: 0 },
    filter: { supported: true, maxResults: MAX_PAGE },
    changePassword: { supported: false },
    sort: { supported: false },
    etag: { supported: true },
    authenticationSchemes: [
      {
        type: 'oauthbearertoken',
        name: 'API key',
        description: 'A key made with `gatehouse key create --scim`, as a bearer token.',
        primary: true,
      },
    ],
    meta: { resourceType: 'ServiceProviderConfig', location: place('ServiceProviderConfig') },
  }
}

export function resourceTypes(place: Place): readonly { id: string }[] {
  const type = (name: 'User' | 'Group', schema: string) => ({
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:ResourceType'],
    id: name,
    name,
    endpoint: `/${name}s`,
    schema,
    meta: { resourceType: 'ResourceType', location: place(`ResourceTypes/${name}`) },
  })
  return [type('User', USER_SCHEMA), type('Group', GROUP_SCHEMA)]
}

type Attribute = {
  readonly name: string
  readonly type?: 'string' | 'boolean' | 'complex'
  readonly required?: boolean
  readonly unique?: boolean
  readonly mutability?: 'readWrite' | 'readOnly' | 'immutable'
  readonly parts?: readonly Attribute[]
  readonly isList?: boolean
  readonly isExact?: boolean
}

function attribute(given: Attribute): object {
  const { name, type = 'string', required = false, mutability = 'readWrite', parts, isList = false } = given
  return {
    name,
    type,
    multiValued: isList,
    required,
    caseExact: given.isExact ?? false,
    mutability,
    returned: 'default',
    uniqueness: given.unique === true ? 'server' : 'none',
    ...(parts === undefined ? {} : { subAttributes: parts.map(attribute) }),
  }
}

const NAME_PARTS = [{ name: 'formatted' }, { name: 'givenName' }, { name: 'familyName' }]
const EMAIL_PARTS = [{ name: 'value' }, { name: 'type' }, { name: 'primary', type: 'boolean' }] as const
const USER: readonly Attribute[] = [
  { name: 'userName', required: true, unique: true, mutability: 'immutable' },
  { name: 'externalId', isExact: true },
  { name: 'displayName' },
  { name: 'name', type: 'complex', parts: NAME_PARTS },
  { name: 'emails', type: 'complex', isList: true, parts: EMAIL_PARTS },
  { name: 'active', type: 'boolean' },
  { name: 'groups', type: 'complex', isList: true, mutability: 'readOnly', parts: [{ name: 'value', isExact: true }] },
]
const GROUP: readonly Attribute[] = [
  { name: 'displayName', required: true, unique: true },
  { name: 'externalId', isExact: true },
  {
    name: 'members',
    type: 'complex',
    isList: true,
    parts: [{ name: 'value', isExact: true, mutability: 'immutable' }],
  },
]

export function schemas(place: Place): readonly { id: string }[] {
  const schema = (id: string, name: string, attributes: readonly Attribute[]) => ({
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:Schema'],
    id,
    name,
    attributes: attributes.map(attribute),
    meta: { resourceType: 'Schema', location: place(`Schemas/${id}`) },
  })
  return [schema(USER_SCHEMA, 'User', USER), schema(GROUP_SCHEMA, 'Group', GROUP)]
}

export function listed(resources: readonly object[]) {
  return showList({ total: resources.length, startIndex: 1, resources })
}
