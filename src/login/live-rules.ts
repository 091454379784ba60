import { InStep, type Storage } from '#storage'
import type { Log } from '#telemetry'
import { compileRules, inOrder, type CompiledRules } from './decide.ts'
import type { LoginPolicyConfig, ShownPolicy } from './schema.ts'
import type { LoginStore } from './store.ts'

const TOPIC = 'login.policy'

/** All rules in force at a moment. Never changes; a change makes the next one. */
export type RuleSet = { readonly shown: ShownPolicy; readonly compiled: CompiledRules }

type Deps = { storage: Storage; store: LoginStore; log: Log; declared: LoginPolicyConfig; onChange: () => void }

/** The newest rules, read anew whenever any replica changes them or the config file does. */
export class LiveRules {
  readonly #deps: Deps
  readonly #inStep: InStep
  #declared: LoginPolicyConfig
  #stored: Awaited<ReturnType<LoginStore['newest']>> = { version: 0, rules: [] }
  #current: RuleSet

  private constructor(deps: Deps) {
    this.#deps = deps
    this.#declared = deps.declared
    this.#current = build(this.#declared, this.#stored)
    const { log } = deps
    const { changes } = deps.storage
    this.#inStep = new InStep({ changes, log, topic: TOPIC, what: 'the login policy', read: () => this.#load() })
  }

  /** Rejects when the rules cannot be read. */
  static async open(deps: Deps): Promise<LiveRules> {
    const live = new LiveRules(deps)
    await live.reload()
    return live
  }

  get current(): RuleSet {
    return this.#current
  }

  /** Takes over the rules of a changed config file. */
  declare(declared: LoginPolicyConfig): void {
    this.#declared = declared
    this.#swap()
  }

  /** Resolves when rules read after this moment are in force. */
  reload(): Promise<void> {
    return this.#inStep.reload()
  }

  /** Puts a change that is stored into force, here and then everywhere. If the store fails now, goes on trying. */
  announce(): Promise<void> {
    return this.#inStep.announce()
  }

  close(): Promise<void> {
    return this.#inStep.close()
  }

  async #load(): Promise<void> {
    this.#stored = await this.#deps.store.newest()
    this.#swap()
  }

  #swap(): void {
    this.#current = build(this.#declared, this.#stored)
    this.#deps.onChange()
  }
}

/** Where both have a rule of one id, the file wins. */
function build(
  declared: LoginPolicyConfig,
  stored: { version: number; rules: readonly LoginPolicyConfig['rules'][number][] },
): RuleSet {
  const inFile = new Set(declared.rules.map(({ id }) => id))
  const rules = [
    ...declared.rules.map((rule) => ({ ...rule, source: 'file' as const })),
    ...stored.rules.filter(({ id }) => !inFile.has(id)).map((rule) => ({ ...rule, source: 'database' as const })),
  ]
  const shown = {
    version: stored.version,
    default: declared.default,
    serviceTags: declared.service_tags,
    rules: [...inOrder(rules)],
  }
  return { shown, compiled: compileRules(rules, declared) }
}
