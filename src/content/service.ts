import type { Audit } from '#audit'
import { newId, Problem, type Clock, type JsonObject } from '#kernel'
import type { Storage } from '#storage'
import type { Log } from '#telemetry'
import { createElsewhere } from './elsewhere.ts'
import { MAX_RULES, openLiveRules, type LiveRules } from './live-rules.ts'
import { NO_SUCH_RULE, RULE_IN_FILE, TOO_MANY_RULES } from './problems.ts'
import { revealTokens } from './reveal.ts'
import type { ContentRule, ShownRule, TrialRequest, TrialResult, VersionedRule } from './schema.ts'
import type { Subject } from './scope.ts'
import type { Message, Screened } from './screen.ts'
import { createScreening, type Carried } from './screening.ts'
import { createContentStore, type ContentStore } from './store.ts'
import { createTokens, type Tokens } from './token.ts'
import { tryRules } from './trial.ts'

export type ContentDeps = {
  readonly storage: Storage
  readonly clock: Clock
  readonly audit: Pick<Audit, 'record'>
  readonly log: Log
  /** The rules of the config file. */
  readonly declared: readonly ContentRule[]
}

/** Who makes a change, for the audit trail. */
export type RuleActor = { readonly userId: string; readonly keyId: string | null; readonly face: 'rest' | 'cli' }

export type Content = {
  /** True when rules may have something to say about such a message. Costs a look-up; without rules, nothing. */
  concerns(phase: 'input' | 'output', subject: Subject): boolean
  /** True when a call at this gateway may need a person's approval. */
  asksApproval(gateway: string): boolean
  /**
   * What becomes of a message under the rules in force: at once, or for a large one after a while on another thread.
   * Throws or rejects with `content/not-checked` where that is not possible; then nothing may pass.
   */
  screen(phase: 'input' | 'output', subject: Subject, message: Message): Screened | Promise<Screened>
  /** The same for a result that may not have been parsed yet. */
  screenResult(subject: Subject, result: Carried, schema?: JsonObject): Screened | Promise<Screened>
  /** What a caller sends with their own tokens opened. The very same object where there are none. */
  reveal(subject: Subject, value: JsonObject): JsonObject
  listRules(): ShownRule[]
  /** Rejects with `content/no-such-rule`. */
  showRule(name: string): ShownRule
  /** Stores a rule, or the next version of the one with its name; in force here at once, everywhere within a second. */
  saveRule(rule: ContentRule, by: RuleActor): Promise<ShownRule>
  removeRule(name: string, by: RuleActor): Promise<void>
  /** What would happen to a message. Nothing is stored, recorded or sent. */
  tryRules(trial: TrialRequest): Promise<TrialResult>
  /** Takes over the rules of a changed config file. */
  declare(rules: readonly ContentRule[]): void
  close(): Promise<void>
}

type Parts = ContentDeps & { readonly store: ContentStore; readonly live: LiveRules; readonly tokens: Tokens }

/** Reads all rules, and from then on follows every change. Rejects when the store is down. */
export async function createContent(deps: ContentDeps): Promise<Content> {
  const store = createContentStore(deps.storage)
  const tokenKey = await deps.storage.sharedKey('content.tokens')
  const tokens = createTokens(tokenKey)
  const elsewhere = createElsewhere({ tokenKey, log: deps.log })
  const live = await openLiveRules({ ...deps, store })
  const parts: Parts = { ...deps, store, live, tokens }
  return {
    concerns: (phase, subject) => live.current.rulesFor(phase, subject).length > 0,
    asksApproval: (gateway) => live.current.asksApproval(gateway),
    ...createScreening({ live, tokens, elsewhere }),
    reveal: (subject, value) =>
      live.current.hasTokens ? revealTokens(value, { rules: live.current, tokens, subject }) : value,
    listRules: () => live.current.versioned.map(show),
    showRule: (name) => showRule(parts, name),
    saveRule: (rule, by) => saveRule(parts, rule, by),
    removeRule: (name, by) => removeRule(parts, name, by),
    tryRules: async (trial) => tryRules(live.current, tokens, trial),
    declare: (rules) => live.declare(rules),
    close: async () => {
      await live.close()
      await elsewhere.close()
    },
  }
}

function show({ ref, rule }: VersionedRule): ShownRule {
  return { ...rule, id: ref.id, version: ref.version, origin: ref.id.startsWith('file:') ? 'file' : 'api' }
}

function showRule({ live }: Parts, name: string): ShownRule {
  const found = live.current.versioned.find(({ ref }) => ref.name === name)
  if (!found) throw noSuchRule(name)
  return show(found)
}

async function saveRule(parts: Parts, rule: ContentRule, by: RuleActor): Promise<ShownRule> {
  refuseDeclared(parts, rule.name)
  const { versioned } = parts.live.current
  if (versioned.length >= MAX_RULES && !versioned.some(({ ref }) => ref.name === rule.name))
    throw new Problem(TOO_MANY_RULES, `There are ${MAX_RULES} content rules; remove one before you add another.`)
  const { phase, effect, enabled } = rule
  await audited(parts, { what: 'content-rule.saved', by, extra: { rule: rule.name, phase, effect, enabled } }, () =>
    parts.store.save({ id: newId('crule'), rule, at: parts.clock.now(), by: by.userId }),
  )
  await parts.live.announce()
  return showRule(parts, rule.name)
}

async function removeRule(parts: Parts, name: string, by: RuleActor): Promise<void> {
  refuseDeclared(parts, name)
  const { id, version } = showRule(parts, name)
  await audited(parts, { what: 'content-rule.removed', by, extra: { rule: name, id, version } }, async () => {
    if (!(await parts.store.remove(name))) throw noSuchRule(name)
  })
  await parts.live.announce()
}

function refuseDeclared({ live }: Parts, name: string): void {
  if (live.declared.some((rule) => rule.name === name))
    throw new Problem(RULE_IN_FILE, `The content rule "${name}" is declared in gatehouse.toml; change it there.`)
}

function noSuchRule(name: string): Problem {
  return new Problem(NO_SUCH_RULE, `There is no content rule "${name.slice(0, 63)}". "gatehouse rule list" shows all.`)
}

/** Records the change before it is made, and once more if it then fails: a change without its record cannot happen. */
async function audited(
  parts: Parts,
  change: { what: string; by: RuleActor; extra: JsonObject },
  make: () => Promise<unknown>,
): Promise<void> {
  const { what, by, extra } = change
  const event = { what, userId: by.userId, keyId: by.keyId, face: by.face, extra }
  await parts.audit.record({ ...event, decision: 'allowed' })
  try {
    await make()
  } catch (cause) {
    await parts.audit.record({ ...event, decision: 'failed', reason: 'the change could not be stored' })
    throw cause
  }
}
