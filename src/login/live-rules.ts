import type { Storage } from '#storage'
import type { Log } from '#telemetry'
import { compileRules, inOrder, type CompiledRules } from './decide.ts'
import type { LoginPolicyConfig, ShownPolicy } from './schema.ts'
import type { LoginStore } from './store.ts'

const TOPIC = 'login.policy'
const RETRY_MS = 1_000

/** All rules in force at a moment. Never changes; a change makes the next one. */
export type RuleSet = { readonly shown: ShownPolicy; readonly compiled: CompiledRules }

type Deps = { storage: Storage; store: LoginStore; log: Log; declared: LoginPolicyConfig; onChange: () => void }

/** The newest rules, read anew whenever any replica changes them or the config file does. */
export class LiveRules {
  readonly #deps: Deps
  #declared: LoginPolicyConfig
  #stored: Awaited<ReturnType<LoginStore['newest']>> = { version: 0, rules: [] }
  #current: RuleSet
  #loading: Promise<void> = Promise.resolve()
  #retry: NodeJS.Timeout | undefined
  #isClosed = false
  readonly #unsubscribe: () => void

  private constructor(deps: Deps) {
    this.#deps = deps
    this.#declared = deps.declared
    this.#current = build(this.#declared, this.#stored)
    this.#unsubscribe = deps.storage.changes.subscribe(TOPIC, () => this.#reloadUntilDone())
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
    const load = this.#loading.then(async () => {
      this.#stored = await this.#deps.store.newest()
      this.#swap()
    })
    this.#loading = load.catch(() => {})
    return load
  }

  /** Puts a change that is stored into force, here and then everywhere. */
  async announce(): Promise<void> {
    await this.reload()
    await this.#deps.storage.changes.publish(TOPIC)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#unsubscribe()
    clearTimeout(this.#retry)
    await this.#loading
  }

  #swap(): void {
    this.#current = build(this.#declared, this.#stored)
    this.#deps.onChange()
  }

  /** A replica that misses a rule is a hole, so it tries until it has read it. */
  #reloadUntilDone(): void {
    clearTimeout(this.#retry)
    this.reload().catch((error: unknown) => {
      if (this.#isClosed) return
      this.#deps.log.error({ err: error }, 'the login policy could not be read again; the old one stays until it is')
      this.#retry = setTimeout(() => this.#reloadUntilDone(), RETRY_MS).unref()
    })
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
