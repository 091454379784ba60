import { findersOf } from './detect/detectors.ts'
import type { Finder } from './detect/span.ts'
import { parsePath, type JsonPath } from './json-path.ts'
import { compilePattern } from './pattern.ts'
import type { ContentRule, RuleRef, VersionedRule } from './schema.ts'
import { toolScope, type Subject } from './scope.ts'
import { sqlFinder, urlFinder } from './target.ts'

/** A rule, ready to be asked. */
export type CompiledRule = {
  readonly ref: RuleRef
  readonly rule: ContentRule
  /** Its place in the order of all rules. */
  readonly rank: number
  readonly path: JsonPath | null
  /** What it looks for in texts; none: what `path` names, whole. */
  readonly finders: readonly Finder[]
  /** What a character costs, in steps of the simplest finder; for deciding where the work is done. */
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
  const path = rule.path === undefined ? null : parsePath(rule.path)
  const pattern = rule.pattern === undefined ? null : compilePattern(rule.pattern)
  if ((path && 'wrong' in path) || (pattern && 'wrong' in pattern)) {
    throw new Error(`the content rule "${rule.name}" passed its schema and cannot be compiled`)
  }
  const detectors = rule.detect.flatMap((name) => findersOf(name))
  const finders = [...(pattern ? [pattern.find] : []), ...detectors]
  if (rule.url_hosts.length + rule.url_paths.length > 0) finders.push(urlFinder(rule.url_hosts, rule.url_paths))
  if (rule.sql_verbs.length > 0) finders.push(sqlFinder(rule.sql_verbs))
  const covers = toolScope(rule.tools)
  return {
    ref,
    rule,
    rank,
    path,
    finders,
    weight: 1 + 4 * (finders.length - (pattern ? 1 : 0)) + (pattern?.size ?? 0),
    covers,
    reveals: rule.reveal_to.length === 0 ? covers : toolScope(rule.reveal_to),
  }
}
