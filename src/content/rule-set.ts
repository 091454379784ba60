import { createHash } from 'node:crypto'
import { canonicalJson, type JsonObject } from '#kernel'
import { compileRules, type CompiledRule } from './compile.ts'
import type { ContentRule, VersionedRule } from './schema.ts'
import { isForUser, type Subject } from './scope.ts'

/** All rules in force at this moment, compiled. Immutable: a change makes the next one. */
export type RuleSet = {
  readonly versioned: readonly VersionedRule[]
  /** The rules for a message, in order. Costs one look-up where the same was asked before. */
  rulesFor(phase: 'input' | 'output', subject: Subject): readonly CompiledRule[]
  /** True when a token may have to be opened. */
  readonly hasTokens: boolean
  /** True when a rule for this gateway asks for approvals. */
  asksApproval(gateway: string): boolean
  /** The rule of that name, if a token that it made may be opened for this. */
  mayReveal(rule: string, subject: Subject): boolean
}

const MAX_REMEMBERED = 10_000
const NO_RULES: readonly CompiledRule[] = []

export function buildRuleSet(versioned: readonly VersionedRule[]): RuleSet {
  const all = compileRules(versioned)
  const remembered = { input: new Scopes(), output: new Scopes() }
  const byName = new Map(all.map((rule) => [rule.ref.name, rule]))
  const inScope = (phase: 'input' | 'output', subject: Subject): readonly CompiledRule[] => {
    const scopes = remembered[phase]
    const known = scopes.find(subject)
    if (known) return known
    const found = all.filter((rule) => isInScope(rule, phase, subject))
    scopes.keep(subject, found)
    return found
  }
  return {
    versioned,
    rulesFor: (phase, subject) => {
      if (all.length === 0) return NO_RULES
      const rules = inScope(phase, subject)
      const isForAll = rules.every(({ rule }) => rule.users.length + rule.groups.length === 0)
      return isForAll ? rules : rules.filter(({ rule }) => isForUser(rule, subject.user))
    },
    hasTokens: all.some(({ rule }) => rule.effect === 'tokenise'),
    asksApproval: (gateway) => all.some(({ rule }) => rule.effect === 'approve' && isAt(rule, gateway)),
    mayReveal: (name, subject) => {
      const rule = byName.get(name)
      if (rule?.rule.effect !== 'tokenise' || !rule.reveals(subject)) return false
      return isAt(rule.rule, subject.gateway)
    },
  }
}

/** With the tags that its server had: they may change while everything else stays. */
type Kept = { readonly tags: readonly string[]; readonly rules: readonly CompiledRule[] }

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((tag, at) => tag === b[at]))
}

/** The rules of a place, found without making a text of it: it is asked several times in every call. */
class Scopes {
  readonly #gateways = new Map<string, Map<string, Map<string | null, Kept>>>()
  #size = 0

  find({ gateway, server, thing }: Subject): readonly CompiledRule[] | undefined {
    const kept = this.#gateways.get(gateway)?.get(server.name)?.get(thing)
    return kept !== undefined && isSame(kept.tags, server.tags) ? kept.rules : undefined
  }

  keep({ gateway, server, thing }: Subject, rules: readonly CompiledRule[]): void {
    if (this.#size >= MAX_REMEMBERED) {
      this.#gateways.clear()
      this.#size = 0
    }
    this.#size += 1
    const servers = this.#gateways.get(gateway) ?? new Map<string, Map<string | null, Kept>>()
    this.#gateways.set(gateway, servers)
    const things = servers.get(server.name) ?? new Map<string | null, Kept>()
    servers.set(server.name, things)
    things.set(thing, { tags: server.tags, rules })
  }
}

function isInScope(compiled: CompiledRule, phase: 'input' | 'output', subject: Subject): boolean {
  const { rule } = compiled
  if (rule.phase !== 'both' && rule.phase !== phase) return false
  if (!isAt(rule, subject.gateway)) return false
  return compiled.covers(subject)
}

function isAt({ gateways }: ContentRule, gateway: string): boolean {
  return gateways.length === 0 || gateways.includes(gateway)
}

/** Rules of the config file, with a version that says what they say. */
export function versionDeclared(rules: readonly ContentRule[]): VersionedRule[] {
  return rules.map((rule) => {
    // What zod gives for a file is JSON, less members that are not set.
    const version = createHash('sha256')
      .update(canonicalJson(JSON.parse(JSON.stringify(rule)) as JsonObject))
      .digest('hex')
    return { ref: { name: rule.name, id: `file:${rule.name}`, version: version.slice(0, 12) }, rule }
  })
}
