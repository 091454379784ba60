import { Problem } from '#kernel'
import { readString } from './filter.ts'
import { parse } from './parse.ts'
import { patchEmail } from './patch-email.ts'
import { SCIM_BAD_PATH, SCIM_BAD_VALUE, SCIM_FIXED } from './problems.ts'
import {
  displayName,
  externalId,
  groupDisplayName,
  members,
  patchBody,
  personName,
  truth,
  userName,
  type GroupState,
  type Operation,
  type UserState,
} from './schema.ts'

type Op = Operation['op']
type Apply<State> = (before: State, change: { op: Op; path: string; value: unknown }) => State

/** The person after all operations of a PATCH. */
export function patchUser(before: UserState, body: unknown): UserState {
  return patch(before, body, applyToUser)
}

/** The group after all operations of a PATCH. */
export function patchGroup(before: GroupState, body: unknown): GroupState {
  return patch(before, body, applyToGroup)
}

function patch<State>(before: State, body: unknown, apply: Apply<State>): State {
  return parse(patchBody, body).Operations.reduce((state, { op, path, value }) => {
    if (path !== undefined && path !== '') return apply(state, { op, path: withoutUrn(path), value })
    if (op === 'remove') throw new Problem(SCIM_BAD_PATH, 'A "remove" needs a path.')
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new Problem(SCIM_BAD_VALUE, 'An operation without a path needs an object of attributes as its value.')
    const parts = Object.entries(value).filter(([name]) => name !== 'schemas')
    return parts.reduce((at, [name, part]) => apply(at, { op, path: withoutUrn(name), value: part }), state)
  }, before)
}

function withoutUrn(path: string): string {
  return path.trim().replace(/^urn:ietf:params:scim:schemas:core:2\.0:(?:user|group):/i, '')
}

/** What identity providers send by default and nobody needs here; it is read over. */
const NOT_KEPT =
  /^(?:title|nickName|profileUrl|locale|preferredLanguage|timezone|userType|password|phoneNumbers|addresses|ims|photos|roles|entitlements|x509Certificates|name\.(?:middleName|honorificPrefix|honorificSuffix)|urn:[a-z0-9][a-z0-9:._-]*:User)(?:$|[.[:])/i
const FIXED = new Set(['id', 'meta', 'groups'])

const applyToUser: Apply<UserState> = (before, { op, path, value }) => {
  // A value of null takes away, as RFC 7643 §2.5 has it.
  const sent = op === 'remove' ? null : value
  const withEmail = patchEmail(before, { op, path, value: sent })
  if (withEmail) return withEmail
  if (NOT_KEPT.test(path)) return before
  const name = path.toLowerCase()
  if (FIXED.has(name)) throw fixed(path)
  const set = USER_ATTRIBUTES.get(name)
  if (!set) throw badPath(path)
  return { ...before, ...set(sent, before) }
}

type Setter = (sent: unknown, before: UserState) => Partial<UserState>

/** What each path of a person sets; the names are those of the attributes in small letters. */
const USER_ATTRIBUTES: ReadonlyMap<string, Setter> = new Map<string, Setter>([
  ['active', (sent) => ({ isActive: parse(truth, sent, 'active') })],
  ['username', (sent) => ({ userName: parse(userName, sent, 'userName') })],
  ['externalid', (sent) => ({ externalId: parse(externalId, sent, 'externalId') || null })],
  ['displayname', (sent) => ({ displayName: textFrom(sent, 'displayName') })],
  // As with POST, it is the name of somebody who has no other one.
  ['name.formatted', (sent, before) => ({ displayName: before.displayName ?? textFrom(sent, 'name.formatted') })],
  ['name.givenname', (sent) => ({ givenName: textFrom(sent, 'name.givenName') })],
  ['name.familyname', (sent) => ({ familyName: textFrom(sent, 'name.familyName') })],
  ['name', withName],
])

function textFrom(sent: unknown, what: string): string | null {
  return parse(displayName, sent, what) || null
}

function withName(sent: unknown, before: UserState): Partial<UserState> {
  const parts = parse(personName, sent, 'name') ?? { givenName: null, familyName: null }
  const { givenName = before.givenName, familyName = before.familyName } = parts
  return { givenName, familyName }
}

function asList(value: unknown): unknown {
  return value === null || value === undefined || Array.isArray(value) ? (value ?? null) : [value]
}

const MEMBER = /^members\[\s*value\s+eq\s+("(?:[^"\\]|\\.)*")\s*\]$/i

const applyToGroup: Apply<GroupState> = (before, { op, path, value }) => {
  const [, quoted] = MEMBER.exec(path) ?? []
  if (quoted !== undefined) return withoutMember(before, op, readString(quoted))
  switch (path.toLowerCase()) {
    case 'displayname':
      return { ...before, displayName: parse(groupDisplayName, op === 'remove' ? null : value, 'displayName') }
    case 'externalid':
      return { ...before, externalId: parse(externalId, op === 'remove' ? null : value, 'externalId') || null }
    case 'members':
      return { ...before, members: changed(before.members, op, value) }
    case 'id':
      // Okta names the group once more inside of the value; the address has said which one it is.
      return before
    default:
      throw badPath(path)
  }
}

function withoutMember(before: GroupState, op: Op, id: string | undefined): GroupState {
  if (op !== 'remove' || id === undefined)
    throw new Problem(SCIM_BAD_PATH, 'A member can be removed by such a path only.')
  return { ...before, members: new Set([...before.members].filter((member) => member !== id)) }
}

function changed(before: ReadonlySet<string>, op: Op, value: unknown): ReadonlySet<string> {
  if (op === 'remove' && (value === undefined || value === null)) return new Set()
  const ids = new Set((parse(members, asList(value), 'members') ?? []).map((member) => member.value))
  switch (op) {
    case 'add':
      return new Set([...before, ...ids])
    case 'replace':
      return ids
    case 'remove':
      return new Set([...before].filter((id) => !ids.has(id)))
  }
}

function fixed(path: string): Problem {
  return new Problem(SCIM_FIXED, `"${path}" is given by this house and cannot be changed.`)
}

function badPath(path: string): Problem {
  return new Problem(SCIM_BAD_PATH, `There is no attribute "${path.slice(0, 100)}".`)
}
