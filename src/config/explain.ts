import * as z from 'zod'
import { expectation, messages, mustBeOneOf, oneOf, optionsOf } from './expectation.ts'
import { inTable, pathId, pathName, type Finding, type KeyPath } from './finding.ts'
import { nearest } from './nearest.ts'
import { isTable, type Resolved } from './references.ts'
import { keysAt } from './schema-keys.ts'

type Issue = z.core.$ZodIssue
type Context = { readonly schema: z.core.$ZodType; readonly resolved: Resolved }

/**
 * Puts zod's issues into the words of someone who edits the file. A value is quoted only when it was written in the
 * file itself and does not look like a credential.
 */
export function explainIssues(issues: readonly Issue[], context: Context): readonly Finding[] {
  const findings = issues.flatMap((issue) => explain(issue, toKeyPath(issue.path), context))
  // A key that is missing only because it is misspelt needs one message.
  const meant = new Set(findings.flatMap((finding) => (finding.meant ? [pathId(finding.meant)] : [])))
  return findings
    .filter(({ path }) => !meant.has(pathId(path)))
    .map((finding) => ({ ...finding, text: withoutSecrets(finding.text, context.resolved) }))
}

function toKeyPath(path: readonly PropertyKey[]): KeyPath {
  return path.map((step) => (typeof step === 'number' ? step : String(step)))
}

function explain(issue: Issue, path: KeyPath, context: Context): readonly Finding[] {
  // A value whose reference could not be followed cannot be judged; that it failed is reported already.
  return context.resolved.failedPaths.has(pathId(path)) ? [] : explainByCode(issue, path, context)
}

function explainByCode(issue: Issue, path: KeyPath, context: Context): readonly Finding[] {
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownKey(key, path, context))
    case 'invalid_union':
      return explainUnion(issue, path, context)
    case 'invalid_key':
      return [{ path, text: `${inWords(path)} has a name that is not allowed: ${messages(issue.issues)}` }]
    case 'invalid_element':
      return issue.issues.flatMap((inner) => explain(inner, [...path, ...toKeyPath(inner.path)], context))
    case 'invalid_type':
    case 'invalid_value':
    case 'invalid_format':
    case 'too_small':
    case 'too_big':
    case 'not_multiple_of':
    case 'custom':
      return [{ path, text: wrongValue(issue, path, context) }]
  }
}

function unknownKey(key: string, table: KeyPath, { schema }: Context): Finding {
  const path = [...table, key]
  const names = keysAt(schema, table)
  if (names.has(key)) return { path, text: `key "${key}" does not belong to this sort of entry ${inTable(table)}` }
  const unknown = `unknown key "${key}" ${inTable(table)}`
  const meant = nearest(key, names)
  if (meant === undefined) return { path, text: unknown + knownNames(names) }
  return { path, text: `${unknown}; did you mean "${meant}"?`, meant: [...table, meant] }
}

function knownNames(names: ReadonlySet<string>): string {
  return names.size === 0 || names.size > 20 ? '' : `; known are ${[...names].toSorted().join(', ')}`
}

// The member of the union that came nearest speaks for it: the one whose mistakes lie deepest, then with the fewest.
function explainUnion(issue: z.core.$ZodIssueInvalidUnion, path: KeyPath, context: Context): readonly Finding[] {
  const [nearestMember] = issue.errors.toSorted((a, b) => depth(b) - depth(a) || a.length - b.length)
  if (nearestMember && depth(nearestMember) > 0) {
    return nearestMember.flatMap((inner) => explain(inner, [...path, ...toKeyPath(inner.path)], context))
  }
  if (nearestMember === undefined && valueAt(context.resolved.document, path) === undefined) {
    const table = path.slice(0, -1)
    return [{ path, text: missing(path) + oneOf(optionsOf(issue)) }, ...strangersIn(table, context)]
  }
  const expected = nearestMember === undefined ? mustBeOneOf(optionsOf(issue)) : messages(issue.errors.flat())
  return [
    { path, text: `${inWords(path)} ${expected}${sent(path, context)}${nearOption(optionsOf(issue), path, context)}` },
  ]
}

// Nothing in a table is judged while it is not known which sort it is; a misspelt name is still one.
function strangersIn(table: KeyPath, context: Context): readonly Finding[] {
  const names = keysAt(context.schema, table)
  const value = valueAt(context.resolved.document, table)
  const strange = isTable(value) ? Object.keys(value).filter((key) => !names.has(key)) : []
  return strange.map((key) => unknownKey(key, table, context))
}

function depth(issues: readonly Issue[]): number {
  return Math.max(0, ...issues.map((issue) => issue.path.length + (issue.code === 'unrecognized_keys' ? 1 : 0)))
}

function wrongValue(issue: Issue, path: KeyPath, context: Context): string {
  const isAbsent = valueAt(context.resolved.document, path) === undefined
  if (isAbsent && (issue.code === 'invalid_type' || issue.code === 'invalid_value')) return missing(path)
  if (isAbsent && isSecretIssue(issue)) return missing(path)
  const quoted = isSecretIssue(issue) ? '' : sent(path, context)
  return `${inWords(path)} ${expectation(issue)}${quoted}${nearOption(optionsOf(issue), path, context)}`
}

function missing(path: KeyPath): string {
  return `missing key "${String(path.at(-1) ?? '')}" ${inTable(path.slice(0, -1))}`
}

function inWords(path: KeyPath): string {
  return path.length === 0 ? 'the file' : `"${pathName(path)}"`
}

function isSecretIssue(issue: Issue): boolean {
  return issue.code === 'custom' && issue.params?.['isSecret'] === true
}

// --- what was sent --------------------------------------------------------------------------------------------------

function sent(path: KeyPath, { resolved }: Context): string {
  if (!mayShow(path, resolved)) return ''
  const value = valueAt(resolved.document, path)
  if (value === undefined) return ''
  if (Array.isArray(value)) return ', but an array was sent'
  if (isTable(value)) return ', but a table was sent'
  const text = (JSON.stringify(value) ?? '').replaceAll(/\/\/[^/@\s]*@/g, '//…@')
  return `, but ${text.length > 100 ? `${text.slice(0, 100)}…` : text} was sent`
}

const CREDENTIAL = /secret|token|passw|credential|authorization|api.?key|private/i

function mayShow(path: KeyPath, resolved: Resolved): boolean {
  return !resolved.secretPaths.has(pathId(path)) && !path.some((step) => CREDENTIAL.test(String(step)))
}

function nearOption(options: readonly string[], path: KeyPath, { resolved }: Context): string {
  const value = valueAt(resolved.document, path)
  const meant = typeof value === 'string' && mayShow(path, resolved) ? nearest(value, options) : undefined
  return meant === undefined ? '' : `; did you mean "${meant}"?`
}

function valueAt(document: unknown, path: KeyPath): unknown {
  let value = document
  for (const step of path) {
    if (Array.isArray(value) && typeof step === 'number') value = value[step]
    else if (isTable(value) && Object.hasOwn(value, step)) value = value[step]
    else return undefined
  }
  return value
}

// A schema's own message may quote what it was given.
function withoutSecrets(text: string, { secrets }: Resolved): string {
  return [...secrets]
    .filter((secret) => secret.length >= 4)
    .toSorted((a, b) => b.length - a.length)
    .reduce((shown, secret) => shown.replaceAll(secret, '[secret]'), text)
}
