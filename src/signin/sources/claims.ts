import { isUserId } from '#identity'
import type { Json, JsonObject } from '#kernel'
import { linkedBy, type IdentitySource } from './config.ts'

/** What a source says of a person, in the words of this house. */
export type Vouched = {
  readonly source: string
  readonly issuer: string
  /** With the issuer, what the person is linked by: never a name that can change. */
  readonly subject: string
  /** What a new account would be called; null with the reason why not in `userIdRefused`. */
  readonly userId: string | null
  readonly userIdRefused: string | null
  /** The user id is an e-mail address that this source gives out and has verified. */
  readonly isAuthoritative: boolean
  readonly name: string | null
  readonly groups: readonly string[]
  readonly claims: JsonObject
  /** For how long groups and claims count without being said again. */
  readonly countsForMs: number
}

export type Reading = { readonly ok: true; readonly person: Vouched } | { readonly ok: false; readonly reason: string }

const MAX_GROUPS = 1_000
const DAY_MS = 86_400_000

/** Reads a person out of verified claims, as the settings of the source say. */
export function readClaims(source: IdentitySource, claims: JsonObject): Reading {
  const subject = subjectOf(source, claims)
  if (!subject.ok) return subject
  const groups = groupsOf(source, claims)
  if (!groups.ok) return groups
  const { userId, isAuthoritative, refused } = userIdOf(source, claims)
  const person = {
    source: source.name,
    issuer: source.issuer,
    subject: subject.value,
    userId,
    userIdRefused: refused,
    isAuthoritative,
    name: textOf(claims[source.name_claim]),
    groups: groups.value,
    claims: Object.fromEntries(source.keep_claims.flatMap((name) => kept(name, claims[name]))),
    countsForMs: source.max_age_days * DAY_MS,
  }
  return { ok: true, person }
}

type Part<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string }

function subjectOf(source: IdentitySource, claims: JsonObject): Part<string> {
  const names = linkedBy(source)
  const values = names.map((name) => textOf(claims[name]))
  const missing = names.find((_, at) => values[at] === null)
  if (missing !== undefined)
    return { ok: false, reason: `the claim "${missing}", by which people are linked, is missing` }
  return { ok: true, value: values.join('/') }
}

function userIdOf(source: IdentitySource, claims: JsonObject) {
  const name = source.user_id_claim
  const value = textOf(claims[name])
  const none = (refused: string) => ({ userId: null, isAuthoritative: false, refused })
  if (value === null) return none(`the claim "${name}", which becomes the user id, is missing`)
  const userId = value.includes('@') ? value.toLowerCase() : value
  if (!isUserId(userId)) return none(`the claim "${name}" holds something that cannot be a user id`)
  if (!userId.includes('@')) return { userId, isAuthoritative: false, refused: null }
  const doubt = doubtAboutEmail(source, { name, email: userId, claims })
  return doubt === null ? { userId, isAuthoritative: true, refused: null } : none(doubt)
}

/** An e-mail address is somebody's name everywhere, so only who gives it out may say whose it is. */
function doubtAboutEmail(
  source: IdentitySource,
  { name, email, claims }: { name: string; email: string; claims: JsonObject },
): string | null {
  const domain = email.slice(email.lastIndexOf('@') + 1)
  if (!source.authoritative_domains.includes(domain))
    return `"${domain}" is not among the authoritative_domains of this source`
  if (isVerified(source, { name, email, claims })) return null
  return `the source does not say that the address in "${name}" is verified`
}

function isVerified(
  source: IdentitySource,
  { name, email, claims }: { name: string; email: string; claims: JsonObject },
): boolean {
  // Entra has no email_verified: `xms_edov` says it of `email`, and the domain of a sign-in name is verified by the tenant.
  if (source.kind === 'entra') return name !== 'email' || isTrue(claims['xms_edov'])
  return isTrue(claims['email_verified']) && textOf(claims['email'])?.toLowerCase() === email
}

/** Some providers write booleans as text or as 1. */
function isTrue(value: Json | undefined): boolean {
  return value === true || value === 'true' || value === 1 || value === '1'
}

function groupsOf(source: IdentitySource, claims: JsonObject): Part<readonly string[]> {
  const { groups_claim: name, group_map: map, groups_from: from } = source
  if (name === undefined) return { ok: true, value: [] }
  if (isOverage(name, claims)) return { ok: false, reason: OVERAGE }
  const sent = claims[name]
  const names = (Array.isArray(sent) ? sent : sent === undefined ? [] : [sent])
    .map(textOf)
    .filter((group) => group !== null)
  if (names.length > MAX_GROUPS) return { ok: false, reason: `the source names more than ${MAX_GROUPS} groups` }
  const mapped = names.flatMap((group) =>
    Object.hasOwn(map, group) ? [map[group] ?? group] : from === 'all' ? [group] : [],
  )
  return { ok: true, value: [...new Set(mapped)].toSorted() }
}

const OVERAGE =
  'the source left the groups out because there are too many of them (a groups overage); there, send only groups that are assigned to the application'

/** Entra: from some 200 groups on, a pointer stands in their place. Going on without them would forget memberships. */
function isOverage(name: string, claims: JsonObject): boolean {
  const pointers = claims['_claim_names']
  const isPointed =
    typeof pointers === 'object' && pointers !== null && !Array.isArray(pointers) && Object.hasOwn(pointers, name)
  return isPointed || isTrue(claims['hasgroups'])
}

const MAX_CLAIM_CHARS = 2_000

function kept(name: string, value: Json | undefined): readonly (readonly [string, Json])[] {
  if (value === undefined || JSON.stringify(value).length > MAX_CLAIM_CHARS) return []
  return [[name, value]]
}

function textOf(value: Json | undefined): string | null {
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' && value !== '' && value.length <= 256 ? value : null
}
