import { canonicalJson, isJsonObject, type Json, type JsonObject } from '#kernel'

const MAX_EXTRA_CHARS = 4_096

/**
 * The text as it can be stored anywhere: well-formed, without NUL, at most `max` characters (a longer one is cut and
 * ends with how much is missing). Nothing stays nothing.
 */
export function boundedText(text: string | null | undefined, max: number): string | undefined {
  if (text === null || text === undefined) return undefined
  const short = text.length > max ? cut(text, max) : text
  const wellFormed = short.isWellFormed() ? short : short.toWellFormed()
  return wellFormed.includes('\0') ? wellFormed.replaceAll('\0', '\uFFFD') : wellFormed
}

function cut(text: string, max: number): string {
  const mark = `…+${text.length - max}`
  const end = max - mark.length
  // Never between the two halves of a character.
  const isHighSurrogate = (text.charCodeAt(end - 1) & 0xfc00) === 0xd800
  return text.slice(0, isHighSurrogate ? end - 1 : end) + mark
}

/** Infinity and NaN have no JSON; they count as unknown. At most three decimals. */
export function boundedNumber(value: number | null | undefined): number | undefined {
  if (value === null || value === undefined || !Number.isFinite(value)) return undefined
  return Number.isInteger(value) ? value : Math.round(value * 1_000) / 1_000
}

/** The extra as it can be stored; one that is too long is replaced by its length. */
export function boundedExtra(extra: JsonObject | undefined): unknown {
  if (extra === undefined) return undefined
  const small = inOrder(extra, { left: SMALL_CHARS })
  if (small !== undefined) return small
  const text = canonicalJson(extra)
  return text.length > MAX_EXTRA_CHARS ? { leftOut: `${text.length} characters` } : JSON.parse(text.toWellFormed())
}

/** However much is escaped of so many characters, the text of them is not too long. */
const SMALL_CHARS = 640
const PER_VALUE = 4

/** The value with the members of its objects in order; undefined where it is not small, or has something to be mended. */
function inOrder(value: Json, room: { left: number }): Json | undefined {
  room.left -= PER_VALUE
  if (typeof value === 'string') return isSmallText(value, room) ? value : undefined
  if (typeof value === 'number') return Number.isFinite(value) && room.left > 0 ? value : undefined
  if (typeof value !== 'object' || value === null) return room.left > 0 ? value : undefined
  return isJsonObject(value) ? membersInOrder(value, room) : itemsInOrder(value, room)
}

function isSmallText(text: string, room: { left: number }): boolean {
  room.left -= text.length
  return room.left > 0 && text.isWellFormed()
}

function itemsInOrder(items: readonly Json[], room: { left: number }): Json | undefined {
  const ordered: Json[] = []
  for (const item of items) {
    const one = inOrder(item, room)
    if (one === undefined) return undefined
    ordered.push(one)
  }
  return ordered
}

function membersInOrder(value: JsonObject, room: { left: number }): Json | undefined {
  const ordered: Record<string, Json> = {}
  for (const key of Object.keys(value).sort()) {
    const member = value[key]
    if (member === undefined) continue
    const one = key === '__proto__' || !isSmallText(key, room) ? undefined : inOrder(member, room)
    if (one === undefined) return undefined
    ordered[key] = one
  }
  return ordered
}
