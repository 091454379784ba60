import * as z from 'zod'
import type { KeyPath } from './finding.ts'

type Schema = z.core.$ZodType

/** The names a schema knows in the table at `path`, over all members of a union. Empty where any name is welcome. */
export function keysAt(schema: Schema, path: KeyPath): ReadonlySet<string> {
  const [step, ...rest] = path
  const names = new Set<string>()
  for (const variant of variants(schema)) {
    const below = step === undefined ? undefined : child(variant, step)
    if (below) addAll(names, keysAt(below, rest))
    else if (step === undefined && variant instanceof z.ZodObject) addAll(names, Object.keys(variant.shape))
  }
  return names
}

function addAll(names: Set<string>, more: Iterable<string>): void {
  for (const name of more) names.add(name)
}

/** The schema without its wrappers (optional, default, pipe, …); each member of a union on its own. */
function variants(schema: Schema): readonly Schema[] {
  if (schema instanceof z.ZodUnion) return schema.options.flatMap(variants)
  if (schema instanceof z.ZodIntersection) return [schema.def.left, schema.def.right].flatMap(variants)
  if (schema instanceof z.ZodPipe) return variants(schema.def.in)
  if (schema instanceof z.ZodLazy) return variants(schema.def.getter())
  const inner = unwrapped(schema)
  return inner ? variants(inner) : [schema]
}

function unwrapped(schema: Schema): Schema | undefined {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) return schema.def.innerType
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) return schema.def.innerType
  if (schema instanceof z.ZodReadonly || schema instanceof z.ZodCatch) return schema.def.innerType
  return undefined
}

function child(schema: Schema, step: string | number): Schema | undefined {
  if (schema instanceof z.ZodObject) return property(schema.shape, step)
  if (schema instanceof z.ZodArray) return schema.def.element
  if (schema instanceof z.ZodRecord) return schema.def.valueType
  return undefined
}

function property(shape: Readonly<Record<string, Schema>>, step: string | number): Schema | undefined {
  return Object.hasOwn(shape, step) ? shape[step] : undefined
}
