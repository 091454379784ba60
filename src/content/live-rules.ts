import { InStep, type Storage } from '#storage'
import type { Log } from '#telemetry'
import { buildRuleSet, versionDeclared, type RuleSet } from './rule-set.ts'
import { contentRule, type ContentRule, type VersionedRule } from './schema.ts'
import type { ContentStore, StoredRule } from './store.ts'

const TOPIC = 'content.rules'
export const MAX_RULES = 1_000

type LiveDeps = { readonly storage: Storage; readonly store: ContentStore; readonly log: Log }

/** The newest rules, compiled anew whenever any replica changes one. Those of the file win over stored ones. */
export class LiveRules {
  readonly #deps: LiveDeps
  readonly #inStep: InStep
  #declared: readonly VersionedRule[]
  #stored: readonly VersionedRule[] = []
  #current: RuleSet = buildRuleSet([])

  private constructor(deps: LiveDeps, declared: readonly ContentRule[]) {
    this.#deps = deps
    this.#declared = versionDeclared(declared)
    const { log } = deps
    const { changes } = deps.storage
    this.#inStep = new InStep({ changes, log, topic: TOPIC, what: 'the content rules', read: () => this.#load() })
  }

  /** Rejects when the rules cannot be read: without them, nothing may pass. */
  static async open(deps: LiveDeps, declared: readonly ContentRule[]): Promise<LiveRules> {
    const live = new LiveRules(deps, declared)
    await live.reload()
    return live
  }

  get current(): RuleSet {
    return this.#current
  }

  isDeclared(name: string): boolean {
    return this.#declared.some(({ ref }) => ref.name === name)
  }

  /** Takes over the rules of a changed config file, at once. */
  declare(rules: readonly ContentRule[]): void {
    this.#declared = versionDeclared(rules)
    this.#rebuild()
  }

  /** Resolves when rules read after this moment are in force. Many asking at once share one reading. */
  reload(): Promise<void> {
    return this.#inStep.reload()
  }

  /** Tells every replica of a change that is stored, this one first. If the store fails now, goes on trying. */
  announce(): Promise<void> {
    return this.#inStep.announce()
  }

  close(): Promise<void> {
    return this.#inStep.close()
  }

  async #load(): Promise<void> {
    const rows = await this.#deps.store.load(MAX_RULES)
    this.#stored = rows.map((row) => this.#read(row))
    this.#rebuild()
  }

  /** A rule that cannot be read blocks what it was for: letting everything pass would be worse. */
  #read({ id, version, name, rule }: StoredRule): VersionedRule {
    const ref = { name, id, version: String(version) }
    const parsed = contentRule.safeParse(rule)
    if (parsed.success) return { ref, rule: parsed.data }
    this.#deps.log.error(
      { rule: name, err: parsed.error },
      'a stored content rule cannot be read; everything is blocked',
    )
    return { ref, rule: contentRule.parse({ name, effect: 'block', note: 'This rule cannot be read any more.' }) }
  }

  #rebuild(): void {
    const names = new Set(this.#declared.map(({ ref }) => ref.name))
    this.#current = buildRuleSet([...this.#declared, ...this.#stored.filter(({ ref }) => !names.has(ref.name))])
  }
}
