import { canonicalJson, type JsonObject } from '#kernel'

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
  if (isPlain(extra)) return extra
  const text = canonicalJson(extra)
  return text.length > MAX_EXTRA_CHARS ? { leftOut: `${text.length} characters` } : JSON.parse(text.toWellFormed())
}

/** One short text under a plain name, as each call's rule: nothing to sort, to measure or to mend. */
function isPlain(extra: JsonObject): boolean {
  const [key = '', another] = Object.keys(extra)
  const value = extra[key]
  return another === undefined && typeof value === 'string' && value.length < 256 && value.isWellFormed()
}
