import type { JsonObject } from '#kernel'
import { InStep, type Storage } from '#storage'
import type { Log } from '#telemetry'
import { Hook, type HookDeps } from './hook.ts'
import { hookConfig, inOrder, type HookConfig } from './schema.ts'
import type { HooksStore, StoredHook } from './store.ts'

const TOPIC = 'policy.hooks'
const PURPOSE = 'hook-config'
export const MAX_HOOKS = 100

/** Keeps what only this house may read. */
export type HookSeal = {
  seal(purpose: string, value: JsonObject): string
  open(purpose: string, text: string): JsonObject | null
}

export type LiveHooksDeps = HookDeps & {
  readonly storage: Storage
  readonly store: HooksStore
  readonly seal: HookSeal
  readonly log: Log
  readonly onChange: () => void
}

/** A hook, and who declared it: the file's may be anywhere, those of the API only where the guard allows it. */
type Wanted = { readonly config: HookConfig; readonly origin: 'file' | 'api' }
export type KeptHook = { readonly hook: Hook; readonly origin: Wanted['origin'] }

/** The hooks in force, in order, read anew whenever any replica changes one. Those of the file win over stored ones. */
export class LiveHooks {
  readonly #deps: LiveHooksDeps
  readonly #inStep: InStep
  #declared: readonly HookConfig[]
  #stored: readonly HookConfig[] = []
  #kept: ReadonlyMap<string, KeptHook> = new Map()
  #current: readonly Hook[] = []

  private constructor(deps: LiveHooksDeps, declared: readonly HookConfig[]) {
    this.#deps = deps
    this.#declared = declared
    const { log } = deps
    const { changes } = deps.storage
    this.#inStep = new InStep({ changes, log, topic: TOPIC, what: 'the hooks', read: () => this.#load() })
  }

  /** Rejects when the hooks cannot be read: without them nobody knows what may pass. */
  static async open(deps: LiveHooksDeps, declared: readonly HookConfig[]): Promise<LiveHooks> {
    const live = new LiveHooks(deps, declared)
    await live.reload()
    return live
  }

  get current(): readonly Hook[] {
    return this.#current
  }

  all(): KeptHook[] {
    return this.#current.flatMap((hook) => this.find(hook.config.name) ?? [])
  }

  find(name: string): KeptHook | undefined {
    return [...this.#kept.values()].find(({ hook }) => hook.config.name === name)
  }

  /** Takes over the hooks of a changed config file, at once. */
  declare(hooks: readonly HookConfig[]): void {
    this.#declared = hooks
    this.#rebuild()
  }

  /** The text under which a hook is stored. */
  sealed(config: HookConfig): string {
    return this.#deps.seal.seal(PURPOSE, { config: JSON.stringify(config) })
  }

  /** Resolves when hooks stored before this moment are in force here. Many asking at once share one reading. */
  reload(): Promise<void> {
    return this.#inStep.reload()
  }

  /** Tells every replica of a change that is stored, this one first. If the store fails now, goes on trying. */
  announce(): Promise<void> {
    return this.#inStep.announce()
  }

  async close(): Promise<void> {
    await this.#inStep.close()
    await Promise.all(this.#current.map((hook) => hook.close()))
  }

  async #load(): Promise<void> {
    const rows = await this.#deps.store.load(MAX_HOOKS)
    this.#stored = rows.map((row) => this.#read(row))
    this.#rebuild()
  }

  /** A hook that cannot be read refuses what it may have been for: letting everything pass would be worse. */
  #read({ name, config }: StoredHook): HookConfig {
    const text = this.#deps.seal.open(PURPOSE, config)?.['config']
    const parsed = hookConfig.safeParse(typeof text === 'string' ? JSON.parse(text) : null)
    if (parsed.success) return parsed.data
    this.#deps.log.error({ hook: name }, 'a stored hook cannot be read; everything is refused until it is removed')
    return hookConfig.parse({ name, url: 'http://0.0.0.0', points: ['access', 'pre'], retries: 0 })
  }

  /** A hook that did not change goes on with its connections. */
  #rebuild(): void {
    const names = new Set(this.#declared.map(({ name }) => name))
    const wanted: Wanted[] = [
      ...this.#declared.map((config) => ({ config, origin: 'file' as const })),
      ...this.#stored.filter(({ name }) => !names.has(name)).map((config) => ({ config, origin: 'api' as const })),
    ]
    const keyed = wanted.map((each) => ({ key: JSON.stringify(each), ...each }))
    const before = this.#kept
    const kept = keyed.map(({ key, config, origin }) => {
      const isTrusted = origin === 'file'
      return [key, before.get(key) ?? { hook: new Hook(this.#deps, config, { isTrusted }), origin }] as const
    })
    this.#kept = new Map(kept)
    const hooks = new Map(kept.map(([, { hook }]) => [hook.config.name, hook]))
    this.#current = inOrder(wanted.map(({ config }) => config)).flatMap(({ name }) => hooks.get(name) ?? [])
    const gone = [...before].filter(([key]) => !this.#kept.has(key))
    for (const [, { hook }] of gone) void hook.close()
    if (gone.length > 0 || kept.length > before.size) this.#deps.onChange()
  }
}
