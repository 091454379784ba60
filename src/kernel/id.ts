import { randomUUIDv7 } from 'node:crypto'

export type Id<Prefix extends string = string> = `${Prefix}_${string}`

/** A new sortable id: `key_01a1fcdb…` (UUIDv7 without dashes, RFC 9562 §5.7). */
export function newId<Prefix extends string>(prefix: Prefix): Id<Prefix> {
  return `${prefix}_${randomUUIDv7().replaceAll('-', '')}`
}
