import { hostPattern } from './detect/url.ts'
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
  return [...faults, ...faultsOfUrls(rule)]
}

function faultsOfUrls({ url_hosts: hosts, url_paths: paths }: Draft): Fault[] {
  return [
    ...hosts
      .filter((host) => hostPattern(host) === null)
      .map((host) => ({ key: 'url_hosts', message: `"${host}" is no host: write name, *.name or *` })),
    ...paths
      .filter((path) => !/^[/*]/.test(path))
      .map((path) => ({ key: 'url_paths', message: `"${path}" is no beginning of a path: write /…` })),
  ]
}

type Check = readonly [key: string, isWrong: (rule: Draft) => boolean, message: string]

const EFFECTS: readonly Check[] = [
  [
    'effect',
    (rule) => isChanging(rule) && rule.path === undefined && !hasFinder(rule),
    'needs to know what to look for: a path, a pattern or a detector',
  ],
  [
    'larger_than',
    (rule) => isChanging(rule) && rule.larger_than !== undefined && rule.path === undefined && !hasFinder(rule),
    'needs "path" here: the whole message can only be blocked, annotated or approved',
  ],
  ['with', (rule) => rule.effect === 'replace' && rule.with === undefined, '"replace" needs it: what to put there'],
  ['max_chars', (rule) => rule.effect === 'truncate' && rule.max_chars === undefined, '"truncate" needs it'],
  ['note', (rule) => rule.effect === 'annotate' && rule.note === undefined, '"annotate" needs it: what to say'],
  [
    'phase',
    (rule) => rule.effect === 'annotate' && rule.phase !== 'output',
    '"annotate" is for what comes back; set it to "output"',
  ],
  [
    'phase',
    (rule) => rule.effect === 'approve' && rule.phase !== 'input',
    '"approve" is for what goes in; set it to "input"',
  ],
  ['reveal_to', (rule) => rule.reveal_to.length > 0 && rule.effect !== 'tokenise', 'is for effect = "tokenise" only'],
]

function faultsOfEffect(rule: Draft): Fault[] {
  return EFFECTS.filter(([, isWrong]) => isWrong(rule)).map(([key, , message]) => ({ key, message }))
}

function isChanging({ effect }: Draft): boolean {
  return effect === 'redact' || effect === 'replace' || effect === 'tokenise'
}

function hasFinder(rule: Draft): boolean {
  return (
    rule.pattern !== undefined ||
    rule.detect.length + rule.url_hosts.length + rule.url_paths.length + rule.sql_verbs.length > 0
  )
}
