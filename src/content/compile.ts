import { findersOf } from './detect/detectors.ts'
import type { Finder } from './detect/span.ts'
import { sqlFinder } from './detect/sql.ts'
import { urlFinder } from './detect/url.ts'
import { parsePath, type JsonPath } from './json-path.ts'
import { compilePattern } from './pattern.ts'
import type { ContentRule, RuleRef, VersionedRule } from './schema.ts'
import { toolScope, type Subject } from './scope.ts'

/** A rule, ready to be asked. */
export type CompiledRule = {
  readonly ref: RuleRef
  readonly rule: ContentRule
  /** Its place in the order of all rules. */
  readonly rank: number
  readonly path: JsonPath | null
  /** What it looks for in texts; none: what `path` names, whole. */
  readonly finders: readonly Finder[]
  /** What a character may cost; for deciding where the work is done. */
  readonly weight: number
  covers(subject: Pick<Subject, 'server' | 'thing'>): boolean
  /** For `tokenise`: whether a token may be opened for this. */
  reveals(subject: Pick<Subject, 'server' | 'thing'>): boolean
}

/** Compiles rules that passed the schema, in the order in which they apply. */
export function compileRules(rules: readonly VersionedRule[]): CompiledRule[] {
  return rules
    .filter(({ rule }) => rule.enabled)
    .toSorted(({ rule: a }, { rule: b }) => a.order - b.order || (a.name < b.name ? -1 : 1))
    .map(compileRule)
}

function compileRule({ ref, rule }: VersionedRule, rank: number): CompiledRule {
  const path = rule.path === undefined ? null : sound(rule, parsePath(rule.path))
  const pattern = rule.pattern === undefined ? null : sound(rule, compilePattern(rule.pattern))
  const others = [...rule.detect.flatMap((name) => findersOf(name)), ...targetFinders(rule)]
  const covers = toolScope(rule.tools)
  return {
    ref,
    rule,
    rank,
    path,
    finders: pattern ? [pattern.find, ...others] : others,
    weight: weightOf(rule, pattern?.size ?? 0),
    covers,
    reveals: rule.reveal_to.length === 0 ? covers : toolScope(rule.reveal_to),
  }
}

/** What the most stubborn text costs a character, in units of 10 ns; measured by `bench/content.ts`. */
const WEIGHTS = { base: 5, detector: 25, card: 40, url: 100, sql: 100, patternStep: 2 } as const

function weightOf(rule: ContentRule, patternSize: number): number {
  const detectors = rule.detect.reduce((sum, name) => sum + (name === 'card' ? WEIGHTS.card : WEIGHTS.detector), 0)
  const urls = rule.url_hosts.length + rule.url_paths.length > 0 ? WEIGHTS.url : 0
  const targets = urls + (rule.sql_verbs.length > 0 ? WEIGHTS.sql : 0)
  const once = WEIGHTS.base + detectors + targets + patternSize * WEIGHTS.patternStep
  return rule.decode_base64 ? once * 2 : once
}

function sound<Part extends object>(rule: ContentRule, part: Part | { readonly wrong: string }): Part {
  if (!('wrong' in part)) return part
  throw new Error(`the content rule "${rule.name}" passed its schema and cannot be compiled: ${String(part.wrong)}`)
}

function targetFinders({ url_hosts: hosts, url_paths: paths, sql_verbs: verbs }: ContentRule): Finder[] {
  return [
    ...(hosts.length + paths.length > 0 ? [urlFinder(hosts, paths)] : []),
    ...(verbs.length > 0 ? [sqlFinder(verbs)] : []),
  ]
}
