import type { CompiledRule } from './compile.ts'
import type { Finder, Span } from './detect/span.ts'
import { normalise, type Normalised } from './normalise.ts'

/** A place that a rule found in a text. */
export type Spot = { readonly start: number; readonly end: number; readonly rule: CompiledRule }

/** All places that these rules find, as a reader of the text would see it and as it is written. */
export function findSpots(text: string, rules: readonly CompiledRule[]): readonly Spot[] {
  if (text === '') return NO_SPOTS
  const seen: Seen = { text, plain: undefined }
  let spots: Spot[] | undefined
  for (const rule of rules) {
    for (const find of rule.finders) spots = add(spots, rule, spansOf(seen, find))
    if (rule.rule.decode_base64) spots = add(spots, rule, hiddenIn(text, rule))
  }
  return spots ?? NO_SPOTS
}

const NO_SPOTS: readonly Spot[] = []

/** `plain` is made when a rule first asks for it. */
type Seen = { readonly text: string; plain: Normalised | null | undefined }

function spansOf(seen: Seen, find: Finder): readonly Span[] {
  const written = find(seen.text)
  if (seen.plain === undefined) seen.plain = normalise(seen.text)
  const { plain } = seen
  if (plain === null) return written
  const meant = find(plain.text)
  return meant.length === 0 ? written : [...written, ...meant.map((span) => plain.toOriginal(span))]
}

function add(spots: Spot[] | undefined, rule: CompiledRule, spans: readonly Span[]): Spot[] | undefined {
  if (spans.length === 0) return spots
  const all = spots ?? []
  for (const [start, end] of spans) all.push({ start, end, rule })
  return all
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
