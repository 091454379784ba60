import type * as z from 'zod'
import { Problem } from '#kernel'
import { SCIM_BAD_VALUE } from './problems.ts'
import { emails, groupBody, patchBody, personName, userBody, type GroupState, type UserState } from './schema.ts'

/** Parses, and says in words which attribute cannot be used; never what was sent. */
export function parse<Schema extends z.ZodType>(schema: Schema, value: unknown, what = ''): z.output<Schema> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const words = parsed.error.issues.slice(0, 5).map(({ path, message }) => {
    const name = [what, ...path.map(String)].filter((part) => part !== '').join('.')
    return `${name || 'the body'}: ${message}`
  })
  throw new Problem(SCIM_BAD_VALUE, `${words.join('; ')}.`)
}

/** RFC 7643 §2.1: the names of attributes mean the same in capitals and in small letters. */
export function withKnownNames(sent: unknown): unknown {
  if (Array.isArray(sent)) return sent.map(withKnownNames)
  if (typeof sent !== 'object' || sent === null) return sent
  const parts = Object.entries(sent).map(([name, part]) => [
    NAMES.get(name.toLowerCase()) ?? name,
    withKnownNames(part),
  ])
  return Object.fromEntries(parts)
}

const NAMES: ReadonlyMap<string, string> = new Map(
  [userBody, groupBody, patchBody, personName.unwrap(), patchBody.shape.Operations.element, emails.unwrap().element]
    .flatMap(({ shape }) => Object.keys(shape))
    .map((name) => [name.toLowerCase(), name]),
)

/** The whole of a person, as POST and PUT send it. Whoever is let in nowhere stays so until that is said. */
export function userFrom(body: unknown, wasActive = true): UserState {
  const sent = parse(userBody, body)
  const { givenName = null, familyName = null, formatted = null } = sent.name ?? {}
  const inParts = [givenName, familyName].filter((part) => part !== null && part !== '').join(' ')
  return {
    userName: sent.userName,
    externalId: sent.externalId || null,
    displayName: sent.displayName || formatted || inParts.slice(0, 200) || null,
    givenName,
    familyName,
    email: chooseEmail(sent.emails),
    isActive: sent.active ?? wasActive,
  }
}

export function groupFrom(body: unknown): GroupState {
  const sent = parse(groupBody, body)
  const ids = (sent.members ?? []).map(({ value }) => value)
  return { displayName: sent.displayName, externalId: sent.externalId || null, members: new Set(ids) }
}

/** The one that is marked as primary, or the one for work, or the first. */
export function chooseEmail(sent: z.output<typeof emails> | undefined): string | null {
  const all = (sent ?? []).filter(({ value }) => Boolean(value))
  const chosen = all.find(({ primary }) => primary) ?? all.find(({ type }) => type === 'work') ?? all[0]
  return chosen?.value ?? null
}
