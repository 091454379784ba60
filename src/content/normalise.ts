import type { Span } from './detect/span.ts'

/**
 * A text as people mean it, with the way back to where each character came from: compatibility forms folded (NFKC),
 * digits of all scripts as ASCII, dashes and spaces as `-` and ` `, invisible characters gone, `\u0031`, `%31` and
 * `&#49;` read. So a pattern meets what the reader of the text would see.
 */
export type Normalised = {
  readonly text: string
  /** The place in the original that this place stands for. */
  toOriginal(span: Span): Span
}

/** What needs a look: a written-out character, a letter with loose marks, or one that has a plainer form. */
// eslint-disable-next-line no-control-regex, no-misleading-character-class -- the range of ASCII, and marks as such
const SPECIAL = new RegExp(
  String.raw`\\{1,8}u[0-9a-f]{4}|%(?:25){0,3}[0-9a-f]{2}|&(?:amp;){0,3}#(?:\d{1,7}|x[0-9a-f]{1,6});|[\p{L}\p{N}]\p{M}+|` +
    String.raw`(?![\u0000-\u007f])[\p{Cf}\p{M}\p{Zs}\p{Zl}\p{Zp}\p{Pd}\p{Nd}\p{No}\u115f\u1160\u3164\uffa0` +
    String.raw`\u02b0-\u02ff\u1d2c-\u1dbf\u2000-\u2bff\u3000-\u303f\u3200-\u33ff\uf900-\ufaff\ufb00-\ufdff` +
    String.raw`\ufe00-\uffef\u{1d400}-\u{1d7ff}\u{1f100}-\u{1f2ff}\u{1fbf0}-\u{1fbf9}]\p{M}*`,
  'giu',
)
const MAY_BE_SPECIAL = /[^\u0000-\u007f]|\\u|%|&(?:#|amp;)/ // eslint-disable-line no-control-regex -- the range of ASCII

/** One piece of the result: `plain` characters that stand for `length` original ones. */
type Piece = { readonly from: number; readonly at: number; readonly plain: number; readonly length: number }

/** The normalised text, or null when it is the text itself. */
export function normalise(original: string): Normalised | null {
  if (!MAY_BE_SPECIAL.test(original)) return null
  const pieces: Piece[] = []
  // Texts in another script have the same few hundred characters over and over.
  const known = new Map<string, string>()
  let text = ''
  let at = 0
  for (const { 0: found, index } of original.matchAll(SPECIAL)) {
    const folded = known.get(found) ?? fold(found)
    if (found.length <= 8) known.set(found, folded)
    if (folded === found) continue
    text += original.slice(at, index)
    pieces.push({ from: text.length, at: index, plain: folded.length, length: found.length })
    text += folded
    at = index + found.length
  }
  if (pieces.length === 0) return null
  text += original.slice(at)
  return { text, toOriginal: ([start, end]) => [originalOf(pieces, start).start, originalOf(pieces, end - 1).end] }
}

/** Where one character came from. */
function originalOf(pieces: readonly Piece[], position: number): { start: number; end: number } {
  const piece = lastBefore(pieces, position)
  if (piece === undefined) return { start: position, end: position + 1 }
  const into = position - piece.from
  if (into < piece.plain) return { start: piece.at, end: piece.at + piece.length }
  const start = piece.at + piece.length + into - piece.plain
  return { start, end: start + 1 }
}

function lastBefore(pieces: readonly Piece[], position: number): Piece | undefined {
  let [low, high] = [0, pieces.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((pieces[middle]?.from ?? 0) <= position) low = middle + 1
    else high = middle
  }
  return pieces[low - 1]
}

const INVISIBLE = /[\p{Cf}\p{M}\u115f\u1160\u3164\uffa0\u2800]/gu

function fold(found: string): string {
  return plainOf(writtenOut(found) ?? found)
}

function plainOf(text: string): string {
  return text
    .normalize('NFKC')
    .replaceAll(INVISIBLE, '')
    .replaceAll(/[\p{Pd}\u2212]/gu, '-')
    .replaceAll(/[\p{Zs}\p{Zl}\p{Zp}]/gu, ' ')
    .replaceAll(/\p{Nd}/gu, asciiDigit)
}

/** The character behind `\u0031`, `%31` or `&#49;`, also where that was escaped again (`%2531`); a byte that is no ASCII stays as it is. */
function writtenOut(found: string): string | null {
  const [, unicode, percent, decimal, hex] =
    /^(?:\\+u([0-9a-f]{4})|%(?:25)*([0-9a-f]{2})|&(?:amp;)*#(\d{1,7});|&(?:amp;)*#x([0-9a-f]{1,6});)$/i.exec(found) ??
    []
  const digits = unicode ?? percent ?? hex
  const code = decimal !== undefined ? Number(decimal) : digits === undefined ? null : Number.parseInt(digits, 16)
  if (code === null || code > 0x10ffff || (percent !== undefined && code > 0x7f)) return null
  return code < 0x20 ? ' ' : String.fromCodePoint(code)
}

/** Digits of a script stand in a row of ten; counting back to where the row begins gives the value. */
function asciiDigit(digit: string): string {
  const code = digit.codePointAt(0) ?? 0
  let value = 0
  while (value < 9 && /\p{Nd}/u.test(String.fromCodePoint(code - value - 1))) value++
  return String(value)
}
