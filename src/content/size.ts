import type { Json } from '#kernel'

const PER_VALUE = 8

/** About how many characters there are to be looked at; counting ends beyond `limit`. */
export function sizeOf(value: Json, limit: number): number {
  let size = 0
  const open: Json[] = [value]
  for (let next = open.pop(); next !== undefined && size <= limit; next = open.pop()) {
    size += PER_VALUE
    if (typeof next === 'string') size += next.length
    else if (typeof next === 'object' && next !== null) size += openUp(next, open)
  }
  return size
}

function openUp(value: Exclude<Json, string | number | boolean | null>, open: Json[]): number {
  let names = 0
  for (const [name, member] of Object.entries(value)) {
    names += name.length
    if (member !== undefined) open.push(member)
  }
  return names
}
