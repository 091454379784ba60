import { Live, type Storage } from '#storage'
import type { Log } from '#telemetry'
import { compileRules, inOrder, type CompiledRules } from './decide.ts'
import type { LoginPolicyConfig, ShownPolicy } from './schema.ts'
import type { LoginStore } from './store.ts'

const TOPIC = 'login.policy'

/** All rules in force at a moment. Never changes; a change makes the next one. */
type RuleSet = { readonly shown: ShownPolicy; readonly compiled: CompiledRules }
type Stored = Awaited<ReturnType<LoginStore['newest']>>
type Deps = { storage: Storage; store: LoginStore; log: Log; declared: LoginPolicyConfig }

export type LiveRules = Awaited<ReturnType<typeof openLiveRules>>

/** The newest rules, read anew whenever any replica changes them or the config file does. */
export function openLiveRules({ store, ...deps }: Deps) {
  const empty: Stored = { version: 0, rules: [] }
  return Live.open({ ...deps, topic: TOPIC, what: 'the login policy', empty, load: () => store.newest(), build })
}

/** Where both have a rule of one id, the file wins. */
function build(declared: LoginPolicyConfig, stored: Stored): RuleSet {
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
