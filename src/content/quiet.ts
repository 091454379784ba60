import { isJsonObject, type Json, type JsonObject } from '#kernel'
import type { CompiledRule } from './compile.ts'
import { findSpots } from './spots.ts'

/** One look through a message; it ends where it would take too long. */
type Look = {
  readonly rules: readonly CompiledRule[]
  /** Names and words in which these rules have found nothing before. */
  readonly quiet: Set<string>
  left: number
  last: string
}

const PER_VALUE = 8
const MAX_DEPTH = 64
const MAX_KNOWN = 10_000
const MAX_KNOWN_CHARS = 64
/** Members whose texts are looked at in another way: what is in their base64. */
const BINARY: ReadonlySet<string> = new Set(['blob', 'data'])
/** Members under which the same few words stand again and again. */
const WORDS: ReadonlySet<string> = new Set(['type', 'role', 'resultType'])

const quietWords = new WeakMap<readonly CompiledRule[], Set<string>>()

/** Rules that look for something in texts wherever they are, and for nothing else. */
export function arePlain(rules: readonly CompiledRule[]): boolean {
  return rules.every(({ path, finders, rule }) => path === null && finders.length > 0 && rule.larger_than === undefined)
}

/**
 * What becomes of most messages is nothing, and to know that is cheaper than to look for what should become of them.
 * True when these rules, which are plain, find nothing in any text, number or name of the value. It looks at more than
 * the rules do, whatever a text is there for: what it finds need not count, and what it does not find is not there.
 * False also where the look would take more than `most` characters.
 */
export function isQuiet(rules: readonly CompiledRule[], value: JsonObject, most: number): boolean {
  const quiet = quietWords.get(rules) ?? new Set()
  quietWords.set(rules, quiet)
  return isQuietObject({ rules, quiet, left: most, last: '' }, value, 0)
}

function isQuietValue(look: Look, value: Json, depth: number): boolean {
  look.left -= PER_VALUE
  if (look.left < 0) return false
  if (typeof value === 'string') return isQuietText(look, value)
  if (typeof value === 'number') return findSpots(String(value), look.rules).length === 0
  if (typeof value !== 'object' || value === null) return true
  if (depth >= MAX_DEPTH) return false
  if (isJsonObject(value)) return isQuietObject(look, value, depth)
  return value.every((item: Json) => isQuietValue(look, item, depth + 1))
}

function isQuietObject(look: Look, value: JsonObject, depth: number): boolean {
  for (const key in value) {
    const member = value[key]
    if (member === undefined) continue
    if (!isQuietWord(look, key)) return false
    if (typeof member !== 'string') {
      if (!isQuietValue(look, member, depth + 1)) return false
    } else if (BINARY.has(key)) return false
    else if (!(WORDS.has(key) ? isQuietWord(look, member) : isQuietText(look, member))) return false
  }
  return true
}

/** Structured content says once more what the text beside it says. */
function isQuietText(look: Look, text: string): boolean {
  if (text === look.last) return true
  look.left -= PER_VALUE + text.length
  if (look.left < 0 || findSpots(text, look.rules).length > 0) return false
  look.last = text
  return true
}

function isQuietWord(look: Look, word: string): boolean {
  const { quiet, rules } = look
  if (quiet.has(word)) return true
  look.left -= word.length
  if (look.left < 0 || findSpots(word, rules).length > 0) return false
  if (quiet.size < MAX_KNOWN && word.length <= MAX_KNOWN_CHARS) quiet.add(word)
  return true
}
