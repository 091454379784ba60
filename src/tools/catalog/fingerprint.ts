import { createHash } from 'node:crypto'
import { canonicalJson, type Json, type JsonObject } from '#kernel'

/** What of a tool a model reads or a policy relies on; a change in any of it is a changed tool. */
const WATCHED = [
  'name',
  'title',
  'description',
  'inputSchema',
  'outputSchema',
  'annotations',
  'execution',
  '_meta',
] as const

/** SHA-256 over the watched members, independent of their order. */
export function fingerprint(definition: JsonObject): string {
  const watched = Object.fromEntries(WATCHED.map((key) => [key, definition[key]]))
  return createHash('sha256').update(canonicalJson(watched)).digest('hex')
}

/**
 * A diff that a person can read: one line a changed place, `path: old → new`, and a warning line for text that hides
 * characters or speaks to the model. At most 100 lines of at most 300 characters.
 */
export function describeChange(before: JsonObject | null, after: JsonObject | null): string[] {
  const lines = WATCHED.flatMap((key) => diffValue(key, before?.[key], after?.[key]))
  return [...lines, ...warnings(after)]
    .slice(0, 100)
    .map((line) => (line.length > 300 ? `${line.slice(0, 299)}…` : line))
}

function diffValue(path: string, before: Json | undefined, after: Json | undefined): string[] {
  if (canonicalJson(before) === canonicalJson(after)) return []
  if (isPlain(before) && isPlain(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()
    return keys.flatMap((key) => diffValue(`${path}.${key}`, before[key], after[key]))
  }
  if (before === undefined) return [`+ ${path}: ${show(after)}`]
  if (after === undefined) return [`- ${path}: ${show(before)}`]
  return [`~ ${path}: ${show(before)} → ${show(after)}`]
}

function isPlain(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function show(value: Json | undefined): string {
  return visible(JSON.stringify(value) ?? '')
}

/** Characters that a person does not see but a model reads, written as `<U+XXXX>`. */
function visible(text: string): string {
  return text.replaceAll(HIDDEN, (character) => `<U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase()}>`)
}

const HIDDEN =
  // eslint-disable-next-line no-control-regex -- control characters are exactly what is looked for
  /[\u0000-\u0008\u000B\u000C\u000E-\u001F\u00AD\u200B-\u200F\u202A-\u202E\u2060-\u2064\u2066-\u2069\uFEFF\u{E0000}-\u{E007F}]/gu

const SUSPICIOUS = [
  /ignore (all|any|the)? ?(previous|prior|other) (instructions|rules)/i,
  /do not (tell|inform|mention|reveal)/i,
  /<\s*(important|system|secret)\s*>/i,
  /(before|instead of) (using|calling) (this|any other) tool/i,
]

/** One line for hidden characters and for phrases known from tool poisoning; empty when the text looks harmless. */
export function warnings(definition: JsonObject | null): string[] {
  const text = allText(definition ?? {})
  const found: string[] = []
  if (allText(definition ?? {}).search(HIDDEN) >= 0) found.push('! contains characters that are not visible')
  for (const phrase of SUSPICIOUS) if (phrase.test(text)) found.push(`! speaks to the model: ${phrase.exec(text)?.[0]}`)
  return found
}

/** All strings of a definition joined, unescaped, as a model would read them. */
function allText(value: Json | undefined): string {
  if (typeof value === 'string') return value
  if (value === null || typeof value !== 'object') return ''
  return Object.values(value).map(allText).join('\n')
}
