import { Problem } from '#kernel'
import { SCIM_BAD_FILTER } from './problems.ts'

/** Equalities that must all hold. Nothing of it is ever part of a query's text. */
export type Filter<Attribute extends string> = readonly { readonly attribute: Attribute; readonly value: string }[]

export const USER_FILTERS = ['id', 'userName', 'externalId', 'displayName', 'emails'] as const
export const GROUP_FILTERS = ['id', 'externalId', 'displayName', 'members'] as const
export type UserFilter = Filter<(typeof USER_FILTERS)[number]>
export type GroupFilter = Filter<(typeof GROUP_FILTERS)[number]>

const MAX_CHARS = 1_000
const MAX_TERMS = 4
/** A JSON string, without a way to read it in two ways. */
const STRING = /"(?:[^"\\]|\\.)*"/.source
const ATTRIBUTE = /(?:urn:ietf:params:scim:schemas:core:2\.0:(?:User|Group):)?([a-zA-Z]+)/.source
/** Every address that is kept is one for work. */
const OF_WORK = /(?:(?<=emails)\[\s*type\s+eq\s+"work"\s*\])?/.source
const VALUE = /(?:(?<=members|emails|\])\.value)?/.source
const TERM = new RegExp(`^${ATTRIBUTE}${OF_WORK}${VALUE}\\s+eq\\s+(${STRING})`, 'i')
const BY_VALUE = new RegExp(`^(members|emails)\\[\\s*value\\s+eq\\s+(${STRING})\\s*\\]`, 'i')
const AND = /^\s+and\s+/i

/** `userName eq "x"`, `members[value eq "x"]` and the like, joined with `and`. Everything else is refused. */
export function parseFilter<Attribute extends string>(text: string, known: readonly Attribute[]): Filter<Attribute> {
  if (text.length > MAX_CHARS) throw badFilter(known)
  const terms: { attribute: Attribute; value: string }[] = []
  for (let rest = text.trim(); ;) {
    const term = readTerm(rest, known)
    if (term === undefined) throw badFilter(known)
    terms.push({ attribute: term.attribute, value: term.value })
    rest = rest.slice(term.length)
    if (rest === '') return terms
    if (!AND.test(rest) || terms.length === MAX_TERMS) throw badFilter(known)
    rest = rest.replace(AND, '')
  }
}

function readTerm<Attribute extends string>(text: string, known: readonly Attribute[]) {
  const [whole = '', name = '', quoted = ''] = BY_VALUE.exec(text) ?? TERM.exec(text) ?? []
  const attribute = known.find((one) => one.toLowerCase() === name.toLowerCase())
  const value = readString(quoted)
  return attribute === undefined || value === undefined ? undefined : { attribute, value, length: whole.length }
}

export function readString(quoted: string): string | undefined {
  try {
    const value: unknown = JSON.parse(quoted)
    return typeof value === 'string' && !value.includes('\u0000') ? value : undefined
  } catch {
    return undefined
  }
}

function badFilter(known: readonly string[]): Problem {
  return new Problem(SCIM_BAD_FILTER, `Only these are answered, with "eq" and joined with "and": ${known.join(', ')}.`)
}
