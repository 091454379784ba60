import { Problem, type JsonObject } from '#kernel'
import { compileRules, type CompiledRule } from './compile.ts'
import type { RuleSet } from './rule-set.ts'
import { contentRule, trialRequest, type TrialRequest, type TrialResult, type VersionedRule } from './schema.ts'
import type { Subject } from './scope.ts'
import { screen, type Message } from './screen.ts'
import type { Tokens } from './token.ts'
import { NO_SUCH_RULE } from './problems.ts'

/** What rules would do to a message. The scope counts as far as the trial names it. */
export function tryRules(rules: RuleSet, tokens: Tokens, request: TrialRequest): TrialResult {
  const trial = trialRequest.parse(request)
  const subject = subjectOf(trial)
  // Parsed from JSON by whoever sends it.
  const value = trial.value as JsonObject
  const message: Message =
    trial.phase === 'input' ? { kind: 'params', value: { arguments: value } } : { kind: 'result', value }
  const chosen = chooseRules(rules, trial).filter((rule) => isMeant(rule, trial, subject))
  const makeToken = (rule: string, found: Parameters<Tokens['make']>[1]['value']) =>
    tokens.make(subject.user.userId, { rule, value: found })
  const screened = screen(message, chosen, makeToken)
  const applied = screened.applied.map(({ name, id, version, effect, found }) => ({
    rule: name,
    id,
    version,
    effect,
    found,
  }))
  const isStopped = screened.outcome === 'blocked' || screened.outcome === 'withheld'
  const after = trial.phase === 'input' ? screened.value['arguments'] : screened.value
  return {
    outcome: screened.outcome,
    by: screened.by?.name ?? null,
    value: isStopped ? null : (after as JsonObject),
    applied,
  }
}

type Trial = ReturnType<typeof trialRequest.parse>

function chooseRules(rules: RuleSet, trial: Trial): CompiledRule[] {
  if (trial.rule) {
    const rule = contentRule.parse({ ...trial.rule, enabled: true })
    return compileRules([{ ref: { name: rule.name, id: 'trial', version: '0' }, rule }])
  }
  if (trial.name === undefined) return compileRules(rules.versioned)
  const found: VersionedRule | undefined = rules.versioned.find(({ ref }) => ref.name === trial.name)
  if (!found)
    throw new Problem(NO_SUCH_RULE, `There is no content rule "${trial.name}". "gatehouse rule list" shows all.`)
  // A rule that is switched off can be tried before it is switched on.
  return compileRules([{ ...found, rule: { ...found.rule, enabled: true } }])
}

function isMeant(compiled: CompiledRule, trial: Trial, subject: Subject): boolean {
  const { rule } = compiled
  const isPhase = rule.phase === 'both' || rule.phase === trial.phase
  const isGateway = trial.gateway === undefined || rule.gateways.length === 0 || rule.gateways.includes(trial.gateway)
  const isUser = trial.user === undefined || rule.users.length === 0 || rule.users.includes(trial.user)
  return isPhase && isGateway && isUser && (trial.tool === undefined || compiled.covers(subject))
}

function subjectOf({ gateway = '', tool = '', user = '' }: Trial): Subject {
  const slash = tool.indexOf('/')
  const server = { name: slash < 0 ? tool : tool.slice(0, slash), tags: [] }
  return { gateway, server, thing: slash < 0 ? null : tool.slice(slash + 1), user: { userId: user, groups: [] } }
}
