import type { Json } from '#kernel'
import type { CompiledRule } from './compile.ts'
import type { Spot } from './spots.ts'

/** Makes the token of a value that a rule found. */
export type MakeToken = (rule: string, value: Json) => string

const REDACTED = '[redacted]'

/** What stands in the place of what a rule found. */
export function standIn(rule: CompiledRule, found: Json, makeToken: MakeToken): string {
  switch (rule.rule.effect) {
    case 'tokenise':
      return makeToken(rule.ref.name, found)
    case 'replace':
    case 'redact':
      return rule.rule.with ?? REDACTED
    case 'block':
    case 'approve':
    case 'truncate':
    case 'annotate':
      throw new Error(`"${rule.rule.effect}" puts nothing in the place of anything`)
  }
}

/** The text with something else in these places, which do not overlap. */
export function withStandIns(text: string, spots: readonly Spot[], makeToken: MakeToken): string {
  let result = ''
  let at = 0
  for (const { start, end, rule } of spots) {
    result += text.slice(at, start) + standIn(rule, text.slice(start, end), makeToken)
    at = end
  }
  return result + text.slice(at)
}

/** The text with these places blanked in their own shape: digits as 0, letters as x, so that a pattern still fits. */
export function blanked(text: string, spots: readonly { readonly start: number; readonly end: number }[]): string {
  let result = ''
  let at = 0
  for (const { start, end } of spots) {
    result += text.slice(at, start) + inShape(text.slice(start, end))
    at = end
  }
  return result + text.slice(at)
}

function inShape(text: string): string {
  return text
    .replaceAll(/\p{N}/gu, '0')
    .replaceAll(/\p{Lu}/gu, 'X')
    .replaceAll(/\p{L}/gu, (letter) => (letter === 'X' ? letter : 'x'))
}

const CUT = '… [truncated]'

/** The text, at most so long, with a word that something is missing where there is room for it. */
export function truncated(text: string, maxChars: number): string {
  if (text.length <= maxChars) return text
  // Not through the middle of a character that takes two.
  const end = /[\uD800-\uDBFF]$/.test(text.slice(0, maxChars)) ? maxChars - 1 : maxChars
  return text.slice(0, end) + CUT
}
