import * as z from 'zod'
import { contracts } from '../../src/main/index.ts'
import type { Operation } from '../../src/http/contract/contract.ts'

/** Whatever operations there are: one that is added later is tested from its first day. */
export const ALL_OPERATIONS = Object.values(contracts).flatMap((contract) => Object.entries<Operation>(contract))

type Schema = { readonly [key: string]: unknown }

/** The smallest thing that the schema may take; where it is too strict for that, the answer is a refusal. */
function sample(schema: Schema): unknown {
  if ('const' in schema) return schema['const']
  if (Array.isArray(schema['enum'])) return schema['enum'][0]
  const choices = schema['oneOf'] ?? schema['anyOf']
  if (Array.isArray(choices)) return sample({ ...Object(choices[0]) })
  switch (schema['type']) {
    case 'object':
      return sampleObject(schema)
    case 'array':
      return Number(schema['minItems'] ?? 0) > 0 ? [sample({ ...Object(schema['items']) })] : []
    case 'integer':
    case 'number':
      return Math.max(1, Number(schema['minimum'] ?? 1))
    case 'boolean':
      return false
    case 'string':
      return schema['format'] === 'uri'
        ? 'http://127.0.0.1:9/'
        : 'a'.repeat(Math.max(8, Number(schema['minLength'] ?? 1)))
    default:
      return {}
  }
}

function sampleObject(schema: Schema): object {
  const required: unknown[] = Array.isArray(schema['required']) ? schema['required'] : []
  const members = Object.entries<Schema>({ ...Object(schema['properties']) })
  return Object.fromEntries(members.filter(([name]) => required.includes(name)).map(([name, at]) => [name, sample(at)]))
}

const jsonSchema = (schema: z.ZodType): Schema => ({
  ...z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', cycles: 'ref', reused: 'inline' }),
})

export function samplePath(operation: Operation): string {
  return operation.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => sampleParam(operation, name))
}

function sampleParam({ params }: Operation, name: string): string {
  const properties = params === undefined ? {} : Object(jsonSchema(params)['properties'])
  return encodeURIComponent(String(sample({ ...Object(properties[name]) })))
}

export function sampleBody({ body }: Operation): string | undefined {
  return body === undefined ? undefined : JSON.stringify(sample(jsonSchema(body)))
}
