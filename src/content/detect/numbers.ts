import { digitRuns, stretches, type DigitRun } from './digit-groups.ts'
import { NOWHERE, type Finder, type Span } from './span.ts'

/** Payment cards: a known issuer's first digits, that issuer's length, and the check digit (ISO/IEC 7812-1 annex B). */
export const findCards: Finder = (text) =>
  runsOf(text, (run) => stretches(run, { least: 13, most: 19 }, (digits) => isCard(digits)))

/** US social-security numbers in their groups, 3-2-4, of ranges that are or may be given out. */
export const findSsns: Finder = (text) =>
  runsOf(text, (run) =>
    stretches(run, { least: 9, most: 9 }, (digits, cuts) => cuts.includes(3) && cuts.includes(5) && isSsn(digits)),
  )

/** The same without separators: any nine digits of a valid range, so only for fields that hold nothing else. */
export const findBareSsns: Finder = (text) =>
  runsOf(text, (run) => stretches(run, { least: 9, most: 9 }, (digits) => isSsn(digits)))

/** Telephone numbers: international with `+`, or North American in groups of 3-3-4. */
export const findPhones: Finder = (text) =>
  runsOf(text, (run) => {
    if (run.before === '+') return stretches(run, { least: 8, most: 15 }, isInternational).map(withPlus(run))
    return stretches(run, { least: 10, most: 11 }, isNorthAmerican)
  })

/** Eight digits, whatever stands between them: nothing that is searched for has fewer. */
const HAS_NUMBER = /(?:\d[^\d]{0,3}){7}\d/

function runsOf(text: string, find: (run: DigitRun) => readonly Span[]): readonly Span[] {
  if (!HAS_NUMBER.test(text)) return NOWHERE
  const spans: Span[] = []
  for (const run of digitRuns(text)) if (run.digits.length >= 8) spans.push(...find(run))
  return spans
}

function isCard(digits: string): boolean {
  const lengths = LENGTHS[Number(digits.slice(0, 4))] ?? 0
  return (lengths & (1 << digits.length)) !== 0 && passesLuhn(digits)
}

/** First digits of each issuer, as a range, with the lengths of its numbers. */
const ISSUERS: readonly (readonly [from: number, to: number, lengths: readonly number[]])[] = [
  [4, 4, [13, 16, 19]],
  [51, 55, [16]],
  [2221, 2720, [16]],
  [34, 34, [15]],
  [37, 37, [15]],
  [6011, 6011, [16, 19]],
  [644, 649, [16, 19]],
  [65, 65, [16, 19]],
  [300, 305, [14, 16]],
  [36, 36, [14, 16]],
  [38, 39, [14, 16]],
  [3528, 3589, [16, 17, 18, 19]],
  [62, 62, [16, 17, 18, 19]],
  [50, 50, [16]],
  [56, 58, [16]],
  [60, 69, [16]],
]

/** For each four first digits the lengths of numbers that begin so, a bit for each. */
const LENGTHS: readonly number[] = Array.from({ length: 10_000 }, (_, first) =>
  ISSUERS.reduce((bits, [from, to, lengths]) => {
    const prefix = Number(String(first).padStart(4, '0').slice(0, String(from).length))
    return prefix >= from && prefix <= to ? lengths.reduce((all, length) => all | (1 << length), bits) : bits
  }, 0),
)

function passesLuhn(digits: string): boolean {
  let sum = 0
  for (let index = 0; index < digits.length; index++) {
    const digit = digits.charCodeAt(digits.length - 1 - index) - 48
    const doubled = index % 2 === 1 ? digit * 2 : digit
    sum += doubled > 9 ? doubled - 9 : doubled
  }
  return sum % 10 === 0
}

/** Never given out: areas 000, 666 and 9xx, group 00, serial 0000 (SSA, since 2011). */
function isSsn(digits: string): boolean {
  const area = digits.slice(0, 3)
  return (
    area !== '000' &&
    area !== '666' &&
    !area.startsWith('9') &&
    digits.slice(3, 5) !== '00' &&
    digits.slice(5) !== '0000'
  )
}

function isInternational(digits: string): boolean {
  return !digits.startsWith('0')
}

/** The plus sign before the first group belongs to the number. */
function withPlus({ groups }: DigitRun): (span: Span) => Span {
  return ([start, end]) => (start === groups[0]?.at ? [start - 1, end] : [start, end])
}

function isNorthAmerican(digits: string, cuts: readonly number[]): boolean {
  const extra = digits.length - 10
  if (extra === 1 && (!digits.startsWith('1') || !cuts.includes(1))) return false
  return cuts.includes(extra + 3) && cuts.includes(extra + 6) && /^[2-9]\d\d[2-9]/.test(digits.slice(extra))
}
