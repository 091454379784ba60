import { Ajv2020 } from 'ajv/dist/2020.js'
import type { ErrorObject, ValidateFunction } from 'ajv/dist/2020.js'
import { RE2JS } from 're2js'
import { isJsonObject, type Json, type JsonObject } from '#kernel'
import { FORMATS, PLACEHOLDERS } from './formats.ts'

/** A value that a rule changed: where, what it was, and what may stand there, the best first; undefined: nothing. */
export type Change = {
  readonly pointer: readonly string[]
  readonly original: Json
  readonly options: readonly (Json | undefined)[]
}

const MAX_ROUNDS = 32
/** Of a longer schema nobody knows how long compiling it takes. */
const MAX_SCHEMA_CHARS = 262_144

/**
 * The changed value as its schema allows it: where the first choice breaks the schema, the next is tried, such as the
 * same shape in zeros, a harmless value of the format, or leaving an optional member out. Null when nothing fits. A
 * value that was not valid before, and one whose schema cannot be compiled, stay as they are.
 */
export function fitToSchema(given: {
  value: Json
  original: Json
  changes: readonly Change[]
  schema: JsonObject
}): Json | null {
  const { original, changes, schema } = given
  const validate = validatorOf(schema)
  if (validate === null || !validate(original)) return given.value
  let { value } = given
  const tries = changes.map((change) => ({ change, options: [...change.options], at: 0 }))
  for (let round = 0; round < MAX_ROUNDS; round++) {
    if (validate(value)) return value
    const wrong = concerned(tries, validate.errors ?? [])
    if (wrong.length === 0) return null
    const edits: Edits = { inner: new Map() }
    for (const { attempt, errors } of wrong) {
      const next = nextOption(attempt, errors)
      if (next === 'none') return null
      addEdit(edits, attempt.change.pointer, next)
    }
    value = edited(value, edits) ?? null
  }
  return null
}

type Attempt = { readonly change: Change; readonly options: (Json | undefined)[]; at: number }
type Wrong = { readonly attempt: Attempt; readonly errors: readonly ErrorObject[] }

/** The changes that errors are about: those they name, or else those above or below the place they name. */
function concerned(attempts: readonly Attempt[], errors: readonly ErrorObject[]): Wrong[] {
  const byPlace = Map.groupBy(errors, placeOf)
  const named = attempts.flatMap((attempt) => {
    const own = byPlace.get(textOf(attempt.change.pointer))
    return own ? [{ attempt, errors: own }] : []
  })
  if (named.length > 0) return named
  const places = [...byPlace.keys()]
  return attempts
    .filter(({ change }) => places.some((place) => isRelated(place, textOf(change.pointer))))
    .map((attempt) => ({ attempt, errors: [] }))
}

function placeOf({ instancePath, params }: ErrorObject): string {
  const { missingProperty } = params
  return typeof missingProperty === 'string' ? `${instancePath}/${escape(missingProperty)}` : instancePath
}

function isRelated(a: string, b: string): boolean {
  return a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`)
}

function textOf(pointer: readonly string[]): string {
  return pointer.map((key) => `/${escape(key)}`).join('')
}

function escape(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}

function nextOption(attempt: Attempt, errors: readonly ErrorObject[]): 'none' | { option: Json | undefined } {
  const { change, options } = attempt
  const better = errors.flatMap((error) => fromError(error, options[attempt.at]))
  options.splice(attempt.at + 1, 0, ...better.filter((option) => !options.includes(option)))
  do attempt.at++
  while (attempt.at < options.length && options[attempt.at] === change.original)
  return attempt.at < options.length ? { option: options[attempt.at] } : 'none'
}

/** What the schema itself says would be right. */
function fromError({ keyword, params }: ErrorObject, current: Json | undefined): readonly Json[] {
  if (keyword === 'enum') return Array.isArray(params['allowedValues']) ? params['allowedValues'] : []
  if (keyword === 'format') return PLACEHOLDERS.get(String(params['format'])) ?? []
  const { limit } = params
  return typeof limit === 'number' ? withinLimit(keyword, limit, typeof current === 'string' ? current : '') : []
}

const MAX_PADDING = 65_536

function withinLimit(keyword: string, limit: number, current: string): readonly Json[] {
  switch (keyword) {
    case 'minLength':
      return limit <= MAX_PADDING ? [current.padEnd(limit, '*')] : []
    case 'maxLength':
      return [current.slice(0, limit), '*'.repeat(Math.min(limit, 8))]
    case 'exclusiveMinimum':
      return [limit + 1, limit + 0.5]
    case 'exclusiveMaximum':
      return [limit - 1, limit - 0.5]
    default:
      return [limit]
  }
}

/** What is to stand where, as a tree, so that a thousand places cost one copy. */
type Edits = { readonly inner: Map<string, Edits>; here?: { readonly option: Json | undefined } }

function addEdit(edits: Edits, pointer: readonly string[], here: { option: Json | undefined }): void {
  let at = edits
  for (const key of pointer) {
    const inner = at.inner.get(key) ?? { inner: new Map() }
    at.inner.set(key, inner)
    at = inner
  }
  at.here = here
}

/** The value after the edits; undefined takes a member away. */
function edited(value: Json, edits: Edits): Json | undefined {
  if (edits.here) return edits.here.option
  if (typeof value !== 'object' || value === null) return value
  if (!isJsonObject(value)) {
    return value.map((item, index) => {
      const inner = edits.inner.get(String(index))
      return inner ? (edited(item, inner) ?? null) : item
    })
  }
  const copy: Record<string, Json | undefined> = { ...value }
  for (const [key, inner] of edits.inner) copy[key] = edited(value[key] ?? null, inner)
  return Object.fromEntries(Object.entries(copy).filter(([, member]) => member !== undefined))
}

/** Whether a value is valid under a schema; null for a schema that cannot be compiled. */
export function validatorFor(schema: JsonObject): ((value: Json) => boolean) | null {
  const validate = validatorOf(schema)
  return validate && ((value) => validate(value))
}

const validators = new WeakMap<JsonObject, { readonly validate: ValidateFunction | null }>()

/** Compiled once per schema; null for one that cannot be. A server's own `pattern` runs in linear time as well. */
function validatorOf(schema: JsonObject): ValidateFunction | null {
  const known = validators.get(schema)
  if (known) return known.validate
  const validate = compileSchema(schema)
  validators.set(schema, { validate })
  return validate
}

function compileSchema(own: JsonObject): ValidateFunction | null {
  if (JSON.stringify(own).length > MAX_SCHEMA_CHARS) return null
  // Of another draft it would be unknown here, and the words are the same.
  const schema = Object.fromEntries(Object.entries(own).filter(([key]) => key !== '$schema'))
  try {
    const ajv = new Ajv2020({
      strict: false,
      allErrors: true,
      logger: false,
      // Ours to use as it is, not to judge; and judging takes longer than all the rest.
      validateSchema: false,
      formats: FORMATS,
      code: { regExp: Object.assign((source: string) => linear(source), { code: 'linear' }) },
    })
    return ajv.compile(schema)
  } catch {
    return null // the server's mistake; clients cannot check with it either
  }
}

/** `toString` is how Ajv tells one pattern from another. */
function linear(source: string): { test(text: string): boolean; toString(): string } {
  const program = RE2JS.compile(source)
  return { test: (text) => program.matcher(text).find(), toString: () => source }
}
