import type { StoredValue } from './contract.ts'

/** The values as both engines store them. Throws on a boolean, a date or an object, naming which and what to do. */
export function toStoredValues(values: readonly unknown[]): StoredValue[] {
  return values.map((value, index) => {
    if (!isStoredValue(value)) throw new Error(`value ${index + 1} is ${nameOf(value)}; ${ADVICE}`)
    return value
  })
}

const ADVICE =
  'store text, a number, null or bytes (a boolean as 0 or 1, a time as milliseconds, an object as JSON text)'

function isStoredValue(value: unknown): value is StoredValue {
  return value === null || typeof value === 'string' || typeof value === 'number' || value instanceof Uint8Array
}

function nameOf(value: unknown): string {
  if (value === undefined) return 'undefined'
  return value instanceof Date ? 'a Date' : `of type ${typeof value}`
}
