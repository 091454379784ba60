import type { Audit } from '#audit'
import type { AdminOperation } from '#http'
import type { NamesOfGroups } from '#identity'
import type { Clock } from '#kernel'
import type { Storage } from '#storage'
import type { Log, Metrics } from '#telemetry'
import { warnOfAdmin } from './admin/escalation.ts'
import { createAdminPolicy, type AdminPolicy } from './admin/service.ts'
import { explain } from './ask/explain.ts'
import { replay } from './ask/replay.ts'
import { replayRequest } from './ask/schema.ts'
import type { Explanation, ExplainRequest, ReplayReply, ReplayRequest, UsageReply } from './ask/schema.ts'
import { findUsage } from './ask/usage.ts'
import { cedarSchema } from './cedar/cedar-schema.ts'
import { createCheck, type PolicySource } from './cedar/check.ts'
import { decide, type Question, type Verdict } from './decide.ts'
import { createGroupNames } from './grants/group-names.ts'
import { createGrants, type Grants } from './grants/service.ts'
import { LivePolicy } from './live.ts'
import { createRuleBooks, type RuleBooks } from './rules/book.ts'
import { createRules, type Rules } from './rules/service.ts'
import { createRulesStore, type RulesStore } from './rules/store.ts'
import type { Snapshot } from './snapshot.ts'
import { createPolicyStore, type PolicyStore } from './store.ts'
import type { World } from './world.ts'

export type PolicyDeps = {
  readonly storage: Storage
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Pick<Metrics, 'policy'>
  readonly audit: Pick<Audit, 'record' | 'search'>
  readonly world: World
  /** The policy files, as they are at the start. */
  readonly files: readonly PolicySource[]
  /** All operations of the admin API, of which rules may speak. */
  readonly operations: readonly AdminOperation[]
}

/** What the pipeline and the lists ask. */
export type Policy = {
  /** The policy in force. Decisions are pure and cost no I/O. */
  decide(question: Question): Verdict
  /** The rules that are tried beside it, asked the same; null where there are none. */
  shadow(): Pick<Policy, 'decide'> | null
  /** Tells when somebody may be allowed more or less than before; the returned function ends that. */
  onChange(listener: () => void): () => void
}

export type PolicyRoom = Policy &
  Grants &
  Rules &
  AdminPolicy & {
    /** Why somebody may or may not use something, and what would have to change. */
    explain(request: ExplainRequest): Promise<Explanation>
    /** Which recorded calls would have ended otherwise under other rules. */
    replay(request: ReplayRequest): Promise<ReplayReply>
    /** How much of each grant was needed in the last days. */
    findUsage(days: number): Promise<UsageReply>
    /** What becomes of grants and rules when a group is renamed. */
    readonly groupNames: NamesOfGroups
    close(): Promise<void>
  }

type Parts = PolicyDeps & { readonly live: LivePolicy; readonly books: RuleBooks }

/** What is only tried decides nothing, and neither does that it cannot be asked: then it says what is in force. */
function decideByShadow({ live, log, clock }: Parts, shadow: Snapshot, question: Question): Verdict {
  try {
    return decide(shadow, question, clock.now())
  } catch (error) {
    log.warn({ err: error }, 'the rules in shadow could not be asked')
    return decide(live.current, question, clock.now())
  }
}

/** Reads all grants and rules, and from then on follows every change. Rejects when the store is down. */
export async function createPolicy(deps: PolicyDeps): Promise<PolicyRoom> {
  const { storage, clock, operations } = deps
  const stores = { store: createPolicyStore(storage), rulesStore: createRulesStore(storage) }
  const schema = cedarSchema([...new Set(operations.map(({ module }) => module))].toSorted())
  const checkPolicies = createCheck(schema, warnOfAdmin(operations))
  const books = createRuleBooks({ store: stores.rulesStore, checkPolicies })
  books.declare(deps.files)
  const listeners = new Set<() => void>()
  const live = await LivePolicy.open({
    ...deps,
    read: () => readAll(stores, books),
    onChange: () => listeners.forEach((listener) => listener()),
  })
  const parts: Parts = { ...deps, live, books }
  const rules = createRules({ ...parts, ...stores, language: { schema, checkPolicies } })
  if (deps.files.length > 0) await rules.declarePolicies(deps.files)
  return {
    decide: (question) => decide(live.current, question, clock.now()),
    shadow: () => {
      const { shadow } = live
      return shadow && { decide: (question) => decideByShadow(parts, shadow, question) }
    },
    onChange: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    ...createGrants({ ...parts, ...stores }),
    ...rules,
    ...createAsking(parts),
    ...createAdminPolicy(parts),
    groupNames: createGroupNames({ ...stores, live }),
    close: () => live.close(),
  }
}

async function readAll({ store, rulesStore }: { store: PolicyStore; rulesStore: RulesStore }, books: RuleBooks) {
  const [newest] = await rulesStore.activations(1)
  const tried = await rulesStore.shadow()
  return {
    grants: await store.loadGrants(),
    granted: await store.loadGranted(),
    book: await books.withVersion(newest?.version ?? null),
    shadow: tried === null ? null : await books.withVersion(tried),
  }
}

function createAsking(parts: Parts): Pick<PolicyRoom, 'explain' | 'replay' | 'findUsage'> {
  const { live, books, clock } = parts
  return {
    explain: (request) => explain({ ...parts, snapshot: live.current, grants: live.grants, now: clock.now() }, request),
    replay: (request) => {
      const { text, since, records } = replayRequest.parse(request)
      const snapshot = text === null ? live.current : live.compile(books.withText({ name: 'candidate', text }))
      return replay(parts, { snapshot, since, records })
    },
    findUsage: (days) => findUsage(parts, { grants: live.current.grants, since: clock.now() - days * 86_400_000 }),
  }
}
