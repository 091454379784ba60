import { parsePath } from './json-path.ts'
import { compilePattern } from './pattern.ts'

/** The members of a rule that have to fit together. */
export type Draft = {
  readonly phase: 'input' | 'output' | 'both'
  readonly path?: string | undefined
  readonly pattern?: string | undefined
  readonly detect: readonly string[]
  readonly larger_than?: number | undefined
  readonly url_hosts: readonly string[]
  readonly url_paths: readonly string[]
  readonly sql_verbs: readonly string[]
  readonly effect: 'block' | 'approve' | 'redact' | 'replace' | 'tokenise' | 'truncate' | 'annotate'
  readonly with?: string | undefined
  readonly max_chars?: number | undefined
  readonly note?: string | undefined
  readonly reveal_to: readonly string[]
}

export type Fault = { readonly key: string; readonly message: string }

/** Everything that makes a rule meaningless or dangerous, each with the key it is about. */
export function whyNotARule(rule: Draft): Fault[] {
  return [...faultsOfMatch(rule), ...faultsOfEffect(rule)]
}

function faultsOfMatch(rule: Draft): Fault[] {
  const faults: Fault[] = []
  const path = rule.path === undefined ? null : parsePath(rule.path)
  if (path && 'wrong' in path) faults.push({ key: 'path', message: path.wrong })
  const pattern = rule.pattern === undefined ? null : compilePattern(rule.pattern)
  if (pattern && 'wrong' in pattern) faults.push({ key: 'pattern', message: pattern.wrong })
  if (rule.sql_verbs.length > 0 && path === null)
    faults.push({ key: 'sql_verbs', message: 'needs "path": many an English sentence begins with "update" or "drop"' })
  return faults
}

/** Effects that change a place need one; the others may stand for a tool as a whole. */
const CHANGING: readonly Draft['effect'][] = ['redact', 'replace', 'tokenise']

function faultsOfEffect(rule: Draft): Fault[] {
  const { effect, phase } = rule
  const faults: Fault[] = []
  const say = (key: string, message: string): void => void faults.push({ key, message })
  if (CHANGING.includes(effect) && rule.path === undefined && !hasFinder(rule))
    say('effect', `"${effect}" needs to know what to look for: a path, a pattern or a detector`)
  if (CHANGING.includes(effect) && rule.larger_than !== undefined && rule.path === undefined)
    say('larger_than', `with "${effect}" it needs "path": the whole message can only be blocked, annotated or approved`)
  if (effect === 'replace' && rule.with === undefined) say('with', '"replace" needs "with": what to put there')
  if (effect === 'truncate' && rule.max_chars === undefined) say('max_chars', '"truncate" needs "max_chars"')
  if (effect === 'annotate' && rule.note === undefined) say('note', '"annotate" needs "note": what to say')
  if (effect === 'annotate' && phase !== 'output')
    say('phase', '"annotate" is for what comes back; set phase = "output"')
  if (effect === 'approve' && phase !== 'input') say('phase', '"approve" is for what goes in; set phase = "input"')
  if (rule.reveal_to.length > 0 && effect !== 'tokenise') say('reveal_to', 'is for effect = "tokenise" only')
  return faults
}

function hasFinder(rule: Draft): boolean {
  return (
    rule.pattern !== undefined ||
    rule.detect.length + rule.url_hosts.length + rule.url_paths.length + rule.sql_verbs.length > 0
  )
}
