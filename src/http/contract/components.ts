import * as z from 'zod'
import { canonicalJson, isJsonObject, type Json, type JsonObject } from '#kernel'

export type Components = {
  /** The JSON Schema of a zod schema; named and recursive parts become references to components. */
  schema(of: z.ZodType, io: 'input' | 'output'): JsonObject
  all(): Readonly<Record<string, JsonObject>>
}

/** Gathers the named schemas of a document. One name stands for one schema: a second shape gets `Input` or a number. */
export function createComponents(): Components {
  const found = new Map<string, JsonObject>()
  return {
    schema: (of, io) => hoist(toJsonSchema(of, io), io, found),
    all: () => Object.fromEntries([...found].toSorted(([a], [b]) => (a < b ? -1 : 1))),
  }
}

function toJsonSchema(of: z.ZodType, io: 'input' | 'output'): JsonObject {
  const { $schema: _dialect, ...schema } = z.toJSONSchema(of, { io, unrepresentable: 'any' })
  // Through JSON once: the library's type says less than what it is.
  const plain: unknown = JSON.parse(JSON.stringify(schema))
  return isJsonObject(plain) ? plain : {}
}

function hoist(schema: JsonObject, io: 'input' | 'output', found: Map<string, JsonObject>): JsonObject {
  const { $defs, ...rest } = schema
  const names = new Map<string, string>()
  for (const [key, part] of partsOf($defs)) {
    const name = nameFor(key, part, { io, found, names })
    names.set(key, name)
    found.set(name, tidy(part, names))
  }
  return tidy(rest, names)
}

/** Nameless parts first: those with a name refer to them. */
function partsOf($defs: Json | undefined): (readonly [string, JsonObject])[] {
  const entries = isJsonObject($defs) ? Object.entries($defs) : []
  const parts = entries.flatMap(([key, part]) => (isJsonObject(part) ? [[key, part] as const] : []))
  return [...parts.filter(([key]) => isNameless(key)), ...parts.filter(([key]) => !isNameless(key))]
}

/** The only recursive schema without a name in the house is "any JSON value". */
const isNameless = (key: string): boolean => key.startsWith('__schema')

/** The part's own name where it is free or means the same, or one with `Input` or a number after it. */
function nameFor(
  key: string,
  part: JsonObject,
  known: { io: 'input' | 'output'; found: Map<string, JsonObject>; names: ReadonlyMap<string, string> },
): string {
  const wanted = isNameless(key) ? 'JsonValue' : key
  const same = canonicalJson(tidy(part, new Map([...known.names, [key, wanted]])))
  const choices = [wanted, ...(known.io === 'input' ? [`${wanted}Input`] : []), `${wanted}2`, `${wanted}3`]
  const free = choices.find((name) => {
    const there = known.found.get(name)
    return there === undefined || canonicalJson(rename(there, name, wanted)) === same
  })
  if (free === undefined) throw new Error(`the API has too many schemas named "${wanted}"`)
  return free
}

function rename(schema: JsonObject, from: string, to: string): JsonObject {
  const text = JSON.stringify(schema).replaceAll(`"#/components/schemas/${from}"`, `"#/components/schemas/${to}"`)
  const renamed: unknown = JSON.parse(text)
  return isJsonObject(renamed) ? renamed : {}
}

/** Turns references into references to components, and leaves out what the library adds and nobody reads. */
function tidy(schema: JsonObject, names: ReadonlyMap<string, string>): JsonObject {
  const members = Object.entries(schema).flatMap(([key, value]): [string, Json | undefined][] => {
    if (key === '$ref' && typeof value === 'string') return [[key, referTo(value, names)]]
    if (key === 'maximum' && value === Number.MAX_SAFE_INTEGER) return []
    if (key === 'minimum' && value === Number.MIN_SAFE_INTEGER) return []
    return [[key, tidyValue(value, names)]]
  })
  return Object.fromEntries(members)
}

function tidyValue(value: Json | undefined, names: ReadonlyMap<string, string>): Json | undefined {
  if (Array.isArray(value)) return value.map((item: Json) => tidyValue(item, names) ?? null)
  return isJsonObject(value) ? tidy(value, names) : value
}

function referTo(ref: string, names: ReadonlyMap<string, string>): string {
  const key = ref.replace('#/$defs/', '')
  return `#/components/schemas/${names.get(key) ?? key}`
}
