import { hash } from 'node:crypto'
import type { DetailedError, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import { balancePolicy } from './balance.ts'
import { CedarInstance, CedarTrapped, type Cedar } from './library.ts'
import { lookAt, type Look } from './look.ts'
import { splitPolicies, type PolicyText } from './split.ts'

/** One policy that people wrote. */
export type Rule = {
  /** Its `@id`, or where it stands: `rules.cedar:12`. Explanations and the audit trail call it so. */
  readonly id: string
  readonly effect: 'permit' | 'forbid'
  /** Its `@note`: what it is for. */
  readonly note: string | null
  readonly policy: PolicyJson
  readonly look: Look
  /** Stands for its whole content. */
  readonly print: string
}

export type PolicySource = { readonly name: string; readonly text: string }

export type PolicyFinding = {
  readonly level: 'error' | 'warning'
  readonly source: string
  readonly line: number
  readonly message: string
}

export type Checked = { readonly rules: readonly Rule[]; readonly findings: readonly PolicyFinding[] }

/** Reads policies and holds each against the schema. With an error among the findings there are no rules to use. */
export type CheckPolicies = (sources: readonly PolicySource[]) => Checked

/** `warn` says of a rule that can be used what its author should know. */
export function createCheck(schema: string, warn: (rule: Rule) => readonly string[] = () => []): CheckPolicies {
  return (sources) => checkAll(sources, { schema, warn })
}

type Measure = { readonly schema: string; readonly warn: (rule: Rule) => readonly string[] }

function checkAll(sources: readonly PolicySource[], measure: Measure): Checked {
  const checked = sources.map((source) => checkSource(source, measure))
  const rules = checked.flatMap((one) => one.rules)
  const findings = [...checked.flatMap((one) => one.findings), ...findTwice(checked)]
  return { rules: findings.some(({ level }) => level === 'error') ? [] : rules, findings }
}

/** Not the one that decides: what people write may be too much for it. */
const reader = new CedarInstance()

type CheckedSource = Checked & { readonly source: string; readonly lines: readonly number[] }

function checkSource(source: PolicySource, measure: Measure): CheckedSource {
  try {
    return reader.ask((cedar) => checkText(cedar, source, measure))
  } catch (error) {
    if (!(error instanceof CedarTrapped)) throw error
    const finding = { level: 'error', source: source.name, line: 1, message: TOO_DEEP } as const
    return { source: source.name, lines: [], rules: [], findings: [finding] }
  }
}

const TOO_DEEP = 'a policy is nested too deep to be decided by; write it as several, or with fewer brackets'

function checkText(cedar: Cedar, source: PolicySource, { schema, warn }: Measure): CheckedSource {
  const { name, text } = source
  const answer = cedar.validate({ schema, policies: { staticPolicies: text } })
  const finding = (level: PolicyFinding['level']) => (error: DetailedError) => describe(source, level, error)
  if (answer.type === 'failure') {
    return { source: name, lines: [], rules: [], findings: answer.errors.map(finding('error')) }
  }
  const findings = [
    ...answer.validationErrors.map(({ error }) => error).map(finding('error')),
    ...answer.validationWarnings.map(({ error }) => error).map(finding('warning')),
  ]
  const texts = splitPolicies(text)
  requireAll(cedar, text, texts)
  const read = texts.map((one) => readRule(cedar, name, one))
  const warnings = read.flatMap((one, at): PolicyFinding[] =>
    'rule' in one
      ? warn(one.rule).map((message) => ({ level: 'warning', source: name, line: texts[at]?.line ?? 1, message }))
      : [],
  )
  return {
    source: name,
    lines: texts.map(({ line }) => line),
    rules: read.flatMap((one) => ('rule' in one ? [one.rule] : [])),
    findings: [...findings, ...warnings, ...read.flatMap((one) => ('finding' in one ? [one.finding] : []))],
  }
}

/** A rule that we overlooked may be a forbid. */
function requireAll(cedar: Cedar, text: string, texts: readonly PolicyText[]): void {
  const parts = cedar.policySetTextToParts(text)
  const count = parts.type === 'success' ? parts.policies.length + parts.policy_templates.length : texts.length
  if (count !== texts.length) throw new Error(`read ${texts.length} policies where Cedar reads ${count}`)
}

function readRule(
  cedar: Cedar,
  source: string,
  { text, line }: PolicyText,
): { rule: Rule } | { finding: PolicyFinding } {
  const answer = cedar.policyToJson(text)
  const wrong = (message: string) => ({ finding: { level: 'error', source, line, message } as const })
  if (answer.type === 'failure') return wrong(answer.errors.map((error) => error.message).join('; '))
  const policy = balancePolicy(answer.json)
  if (!canBeAsked(cedar, policy)) return wrong(TOO_DEEP)
  const { id, note } = policy.annotations ?? {}
  const named = id === undefined || id === '' ? `${source}:${line}` : id
  return {
    rule: { id: named, effect: policy.effect, note: note ?? null, policy, look: lookAt(policy), print: printOf(text) },
  }
}

/** Cedar takes less of what is nested as JSON, as which it is asked later, than as text. */
function canBeAsked(cedar: Cedar, policy: PolicyJson): boolean {
  try {
    return cedar.preparsePolicySet('read', { staticPolicies: { read: policy } }).type === 'success'
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('recursion limit')) return false
    throw error
  }
}

function printOf(text: string): string {
  return hash('sha256', text, 'base64url').slice(0, 16)
}

function describe({ name, text }: PolicySource, level: PolicyFinding['level'], error: DetailedError): PolicyFinding {
  const [place] = error.sourceLocations ?? []
  const hint = [place?.label, error.help].filter((part) => typeof part === 'string')
  const message = [error.message.replace(/^for policy `policy\d+`, /, ''), ...hint].join('; ')
  return { level, source: name, line: lineAt(text, place?.start ?? 0), message }
}

/** Cedar counts bytes. */
function lineAt(text: string, bytes: number): number {
  return Buffer.from(text).subarray(0, bytes).toString().split('\n').length
}

/** What the trail says where no rule decided at the admin API. */
const OF_THE_HOUSE: ReadonlySet<string> = new Set(['admin-token', 'admin-role'])

/** Ids name rules in explanations and in the trail, so each may be there once, and none may pass for a grant or a role. */
function findTwice(checked: readonly CheckedSource[]): PolicyFinding[] {
  const seen = new Set<string>()
  return checked.flatMap(({ source, rules, lines }) =>
    rules.flatMap(({ id }, at): PolicyFinding[] => {
      const isTaken = seen.has(id) || id.startsWith('grant_') || OF_THE_HOUSE.has(id)
      seen.add(id)
      const message = `the id "${id}" is taken; give the policy another @id`
      return isTaken ? [{ level: 'error', source, line: lines[at] ?? 1, message }] : []
    }),
  )
}
