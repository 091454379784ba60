import { Live, type Storage } from '#storage'
import type { Log } from '#telemetry'
import { buildRuleSet, versionDeclared } from './rule-set.ts'
import { contentRule, type ContentRule, type VersionedRule } from './schema.ts'
import type { ContentStore, StoredRule } from './store.ts'

const TOPIC = 'content.rules'
export const MAX_RULES = 1_000

type LiveDeps = {
  readonly storage: Storage
  readonly store: ContentStore
  readonly log: Log
  readonly declared: readonly ContentRule[]
}

export type LiveRules = Awaited<ReturnType<typeof openLiveRules>>

/**
 * The newest rules, compiled. Those of the file win over stored ones. Rejects when the rules cannot be read: without
 * them, nothing may pass.
 */
export function openLiveRules({ storage, store, log, declared }: LiveDeps) {
  return Live.open({
    storage,
    log,
    topic: TOPIC,
    what: 'the content rules',
    declared,
    empty: [],
    load: async () => (await store.load(MAX_RULES)).map((row) => readRule(log, row)),
    build: (inFile: readonly ContentRule[], stored: readonly VersionedRule[]) => {
      const names = new Set(inFile.map(({ name }) => name))
      return buildRuleSet([...versionDeclared(inFile), ...stored.filter(({ ref }) => !names.has(ref.name))])
    },
  })
}

/** A rule that cannot be read blocks what it was for: letting everything pass would be worse. */
function readRule(log: Log, { id, version, name, rule }: StoredRule): VersionedRule {
  const ref = { name, id, version: String(version) }
  const parsed = contentRule.safeParse(rule)
  if (parsed.success) return { ref, rule: parsed.data }
  log.error({ rule: name, err: parsed.error }, 'a stored content rule cannot be read; everything is blocked')
  return { ref, rule: contentRule.parse({ name, effect: 'block', note: 'This rule cannot be read any more.' }) }
}
