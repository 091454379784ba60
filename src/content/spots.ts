import type { CompiledRule } from './compile.ts'
import type { Span } from './detect/span.ts'
import { normalise, type Normalised } from './normalise.ts'

/** A place that a rule found in a text. */
export type Spot = { readonly start: number; readonly end: number; readonly rule: CompiledRule }

/** All places that these rules find, as a reader of the text would see it and as it is written. */
export function findSpots(text: string, rules: readonly CompiledRule[]): Spot[] {
  const searching = rules.filter(({ finders }) => finders.length > 0)
  if (searching.length === 0 || text === '') return []
  const plain = normalise(text)
  return searching.flatMap((rule) => spansOf(text, plain, rule).map(([start, end]) => ({ start, end, rule })))
}

function spansOf(text: string, plain: Normalised | null, rule: CompiledRule): Span[] {
  const spans: Span[] = []
  for (const find of rule.finders) {
    for (const span of find(text)) spans.push(span)
    if (plain) for (const span of find(plain.text)) spans.push(plain.toOriginal(span))
  }
  if (rule.rule.decode_base64) spans.push(...hiddenIn(text, rule))
  return spans
}

const BASE64 = /[A-Za-z0-9+/_-]{16,}={0,2}/g

/** Runs of base64 in which the rule finds something when they are read; the whole run is the place. */
function hiddenIn(text: string, rule: CompiledRule): Span[] {
  const spans: Span[] = []
  for (const { 0: run, index } of text.matchAll(BASE64)) {
    const inside = Buffer.from(run, 'base64').toString('utf8')
    if (rule.finders.some((find) => find(inside).length > 0)) spans.push([index, index + run.length])
  }
  return spans
}

/**
 * Places that overlap become one; it belongs to the first of their rules. So every character that any rule found goes,
 * and never twice.
 */
export function mergeSpots(spots: readonly Spot[]): Spot[] {
  const merged: Spot[] = []
  for (const spot of spots.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    const last = merged.at(-1)
    if (last === undefined || spot.start >= last.end) {
      merged.push(spot)
      continue
    }
    const rule = spot.rule.rank < last.rule.rank ? spot.rule : last.rule
    merged[merged.length - 1] = { start: last.start, end: Math.max(last.end, spot.end), rule }
  }
  return merged
}
