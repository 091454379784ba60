import type { Span } from './span.ts'

/** A run of digits as people write them: groups with single separators between, `4111 1111-1111`. */
export type DigitRun = {
  readonly digits: string
  /** Where each group begins in `digits`, and where in the text. */
  readonly groups: readonly Group[]
  /** The character before the run; empty at the beginning of the text. */
  readonly before: string
}
type Group = { readonly from: number; readonly at: number; readonly length: number }

/** Up to three separators between digits, so that `4111 - 1111` does not get through. */
const GAP = /^[ \t.,/_·()-]{1,3}$/
/** Nothing that is searched for has more groups than this. */
const MAX_GROUPS = 24
/** A longer run comes in pieces that overlap by as many groups as matter. */
const MAX_RUN = 1_024

/** All runs of a text. */
export function* digitRuns(text: string): Generator<DigitRun> {
  let run: Found[] = []
  for (const { 0: digits, index } of text.matchAll(/\d+/g)) {
    const last = run.at(-1)
    if (last && !GAP.test(text.slice(last.at + last.digits.length, index).slice(0, 4))) {
      yield toRun(text, run)
      run = []
    }
    run.push({ digits, at: index })
    if (run.length < MAX_RUN) continue
    yield toRun(text, run)
    run = run.slice(-MAX_GROUPS)
  }
  if (run.length > 0) yield toRun(text, run)
}

type Found = { readonly digits: string; readonly at: number }

function toRun(text: string, found: readonly Found[]): DigitRun {
  const groups: Group[] = []
  let from = 0
  for (const { digits, at } of found) {
    groups.push({ from, at, length: digits.length })
    from += digits.length
  }
  return { digits: found.map(({ digits }) => digits).join(''), groups, before: text.charAt((found[0]?.at ?? 0) - 1) }
}

/**
 * The stretches of whole groups in a run that `isReal` accepts, the longest first at each place, none inside another.
 * Whole groups: the 16 digits in the middle of an id of 20 are no card number.
 */
export function stretches(
  run: DigitRun,
  limits: { least: number; most: number },
  isReal: (digits: string, cuts: readonly number[]) => boolean,
): Span[] {
  const spans: Span[] = []
  for (let first = 0; first < run.groups.length; first++) {
    const last = longestFrom(run, first, limits, isReal)
    if (last === null) continue
    const [from, to] = [run.groups[first], run.groups[last]]
    if (from && to) spans.push([from.at, to.at + to.length])
    first = last
  }
  return spans
}

function longestFrom(
  { digits, groups }: DigitRun,
  first: number,
  limits: { least: number; most: number },
  isReal: (digits: string, cuts: readonly number[]) => boolean,
): number | null {
  const start = groups[first]?.from ?? 0
  const cuts: number[] = []
  let found: number | null = null
  for (let last = first; last < groups.length && last < first + MAX_GROUPS; last++) {
    const group = groups[last]
    const length = (group?.from ?? 0) + (group?.length ?? 0) - start
    if (length > limits.most) break
    cuts.push(length)
    if (length >= limits.least && isReal(digits.slice(start, start + length), cuts)) found = last
  }
  return found
}
