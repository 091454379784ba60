import { Problem } from '#kernel'
import { readString } from './filter.ts'
import { chooseEmail, parse } from './parse.ts'
import { SCIM_BAD_PATH } from './problems.ts'
import { emails, oneEmail, type Operation, type UserState } from './schema.ts'

type Change = { readonly op: Operation['op']; readonly path: string; readonly value: unknown }

/**
 * Of all addresses that an identity provider keeps of somebody, one is kept here, as the primary one for work: what a
 * path says of others is read over. Null when it is a path of something else.
 */
export function patchEmail(before: UserState, { op, path, value }: Change): UserState | null {
  const found = PATH.exec(path)
  if (found === null) return null
  const [, filter, part] = found
  if (part !== undefined && part.toLowerCase() !== 'value') return before
  if (filter === undefined && part === undefined) return { ...before, email: wholeList(before, op, value) }
  const chosen = choose(before.email, filter, path)
  const isFirst = before.email === null && op !== 'remove' && !chosen.isByValue
  if (!chosen.isKept && !isFirst) return before
  return { ...before, email: op === 'remove' ? null : parse(oneEmail, value, 'emails') || null }
}

const PATH = /^emails(?:\[([^\]]*)\])?(?:\.(value|type|primary|display|\$ref))?$/i

function wholeList({ email }: UserState, op: Change['op'], value: unknown): string | null {
  if (op === 'remove') return null
  const sent = parse(emails, Array.isArray(value) ? value : [value ?? {}], 'emails') ?? []
  // What is added stands beside what there is; of two for work, the new one counts.
  return chooseEmail(op === 'add' ? [...sent, { value: email, type: 'work' }] : sent)
}

/** Whether the filter of a path means the address that is kept. */
function choose(email: string | null, filter: string | undefined, path: string) {
  const terms = filter === undefined ? [] : filter.split(/\s+and\s+/i).map((term) => readTerm(term, path))
  const isKept = terms.every(({ name, word }) => {
    if (name === 'type') return word === 'work'
    return name === 'primary' ? word === 'true' : word === email?.toLowerCase()
  })
  return { isKept, isByValue: terms.some(({ name }) => name === 'value') }
}

const TERM = /^\s*(type|primary|value)\s+eq\s+("(?:[^"\\]|\\.)*"|true|false)\s*$/i

function readTerm(term: string, path: string): { name: string; word: string } {
  const [, name, raw = ''] = TERM.exec(term) ?? []
  const word = raw.startsWith('"') ? readString(raw) : raw
  if (name === undefined || word === undefined)
    throw new Problem(
      SCIM_BAD_PATH,
      `"${path.slice(0, 100)}" chooses no address; use type, primary or value with "eq".`,
    )
  return { name: name.toLowerCase(), word: word.toLowerCase() }
}
