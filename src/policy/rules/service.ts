import { Problem, type Clock } from '#kernel'
import { audited, type Actor, type AuditedDeps } from '../audited.ts'
import type { CheckPolicies, PolicySource, Rule } from '../cedar/check.ts'
import type { LivePolicy } from '../live.ts'
import { NOTHING_BEFORE } from '../problems.ts'
import { gatewaysNamedBy, noVersion, type RuleBooks } from './book.ts'
import type { CheckReply, PolicyState, PutRequest, VersionInfo, VersionText } from './schema.ts'
import type { RulesStore } from './store.ts'

export type Rules = {
  /** What is wrong with these policies, and what they would be beside the files; changes nothing. */
  checkPolicy(source: PolicySource): CheckReply
  /** Keeps policies as the next version, which is not in force by that. Refuses mistakes with file and line. */
  putPolicy(request: PutRequest, by: Actor): Promise<VersionInfo>
  policyState(): Promise<PolicyState>
  showPolicy(version: number): Promise<VersionText>
  /** Puts a version in force, or none: here at once, on every replica within a second. */
  activatePolicy(version: number | null, by: Actor): Promise<PolicyState>
  /** Puts back in force what was before the last activation. */
  rollbackPolicy(by: Actor): Promise<PolicyState>
  /** Lets a version be asked beside the one in force; where it would decide otherwise, audit records say so. */
  shadowPolicy(version: number | null, by: Actor): Promise<PolicyState>
  /** Takes over the policy files as they are now. Refuses them as a whole when one has a mistake. */
  declarePolicies(files: readonly PolicySource[]): Promise<void>
  /** What policies may speak of, in Cedar's schema language. */
  policySchema(): string
}

export type RulesDeps = AuditedDeps & {
  readonly clock: Clock
  readonly rulesStore: RulesStore
  readonly books: RuleBooks
  readonly live: LivePolicy
  readonly language: { readonly schema: string; readonly checkPolicies: CheckPolicies }
}

export function createRules(deps: RulesDeps): Rules {
  return {
    checkPolicy: (source) => checkPolicy(deps, source),
    putPolicy: (request, by) => putPolicy(deps, request, by),
    policyState: () => stateOf(deps),
    showPolicy: async (version) => findVersion(deps, version),
    activatePolicy: (version, by) => activate(deps, { version, what: 'policy.activated' }, by),
    rollbackPolicy: (by) => rollback(deps, by),
    shadowPolicy: (version, by) => shadow(deps, version, by),
    declarePolicies: (files) => declare(deps, files),
    policySchema: () => deps.language.schema,
  }
}

function checkPolicy({ books, language }: RulesDeps, source: PolicySource): CheckReply {
  const { rules, findings } = language.checkPolicies([...books.files(), source])
  const ok = findings.every(({ level }) => level !== 'error')
  return { ok, rules: rules.map(summarize), findings: [...findings] }
}

function summarize({ id, effect, note }: Rule) {
  return { id, effect, note }
}

async function putPolicy(deps: RulesDeps, { text, note = null }: PutRequest, by: Actor): Promise<VersionInfo> {
  deps.books.withText({ name: 'policy', text })
  const added = { text, note, createdAt: deps.clock.now(), createdBy: by.userId ?? null }
  let version = 0
  await audited(deps, { what: 'policy.put', by, extra: { note, chars: text.length } }, async () => {
    version = await deps.rulesStore.insertVersion(added)
  })
  return { version, note, createdAt: added.createdAt, createdBy: added.createdBy }
}

const MAX_LISTED = 200

async function stateOf({ rulesStore, books, live }: RulesDeps): Promise<PolicyState> {
  const [newest] = await rulesStore.activations(1)
  const { label, rules } = live.current
  return {
    active: newest?.version ?? null,
    shadow: await rulesStore.shadow(),
    label,
    files: books.files().map(({ name }) => name),
    rules: rules.map(summarize),
    versions: await rulesStore.listVersions(MAX_LISTED),
  }
}

async function findVersion({ rulesStore }: RulesDeps, version: number): Promise<VersionText> {
  const found = await rulesStore.findVersion(version)
  if (!found) throw noVersion(version)
  return found
}

async function activate(
  deps: RulesDeps,
  chosen: { version: number | null; what: string },
  by: Actor,
): Promise<PolicyState> {
  const { version, what } = chosen
  const { rules } = await deps.books.withVersion(version)
  const gateways = gatewaysNamedBy(rules)
  await audited(deps, { what, by, extra: { version } }, () =>
    deps.rulesStore.activate({ version, at: deps.clock.now(), gateways }),
  )
  await deps.live.announce()
  return stateOf(deps)
}

async function rollback(deps: RulesDeps, by: Actor): Promise<PolicyState> {
  const [now, before] = await deps.rulesStore.activations(2)
  if (now === undefined) {
    throw new Problem(NOTHING_BEFORE, 'No version was ever in force; `policy activate VERSION` puts one there.')
  }
  return activate(deps, { version: before?.version ?? null, what: 'policy.rolled-back' }, by)
}

async function shadow(deps: RulesDeps, version: number | null, by: Actor): Promise<PolicyState> {
  await deps.books.withVersion(version)
  await audited(deps, { what: 'policy.shadowed', by, extra: { version } }, () => deps.rulesStore.setShadow(version))
  await deps.live.announce()
  return stateOf(deps)
}

/** The files are each replica's own, so nobody else is told. */
async function declare(deps: RulesDeps, files: readonly PolicySource[]): Promise<void> {
  const { books, live, rulesStore, clock } = deps
  const before = books.files()
  books.declare(files)
  try {
    const { rules } = books.withText({ name: 'none', text: '' })
    await rulesStore.addGranted(gatewaysNamedBy(rules), clock.now())
    await live.reload()
  } catch (error) {
    // With a version that is in force, or tried, they may not go together; then no change would be taken over any more.
    books.declare(before)
    await live.reload()
    throw error
  }
}
