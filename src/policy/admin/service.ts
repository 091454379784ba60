import type { AdminOperation } from '#http'
import type { AdminQuestion, AdminVerdict } from '#identity'
import type { Clock } from '#kernel'
import type { Log, Metrics } from '#telemetry'
import type { LivePolicy } from '../live.ts'
import type { Snapshot } from '../snapshot.ts'
import type { World } from '../world.ts'
import { askedOf, placeOf } from './asked.ts'
import { decideAdmin } from './decide.ts'
import { explainAdmin } from './explain.ts'
import { findHolders } from './holders.ts'
import type { AdminExplanation, AdminHolders, ExplainAdminRequest } from './schema.ts'

export type AdminPolicy = {
  /** May somebody do this at the admin API? Costs no I/O; what cannot be decided is refused. */
  administer(question: AdminQuestion): AdminVerdict
  /** What somebody may do in a module of the admin API, why, and what would have to change. */
  explainAdmin(request: ExplainAdminRequest): AdminExplanation
  /** Who may do something at the admin API without being an admin. */
  findHolders(): Promise<AdminHolders>
}

export type AdminPolicyDeps = {
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Pick<Metrics, 'policy'>
  readonly world: Pick<World, 'member' | 'members'>
  readonly operations: readonly AdminOperation[]
  readonly live: LivePolicy
}

export function createAdminPolicy(deps: AdminPolicyDeps): AdminPolicy {
  const { live, clock } = deps
  const now = (): { snapshot: Snapshot; now: number } => ({ snapshot: live.current, now: clock.now() })
  return {
    administer: (question) => administer(deps, question),
    explainAdmin: (request) => explainAdmin({ ...deps, ...now() }, request),
    findHolders: () => findHolders({ ...deps, ...now() }),
  }
}

function administer(deps: AdminPolicyDeps, question: AdminQuestion): AdminVerdict {
  const { live, log } = deps
  try {
    const verdict = decideBy(deps, live.current, question)
    const { shadow } = live
    if (shadow === null || !verdict.isFinal) return verdict
    return withShadow(deps, verdict, { shadow, question })
  } catch (error) {
    log.error({ err: error, operation: question.action.operation }, 'the policy could not be asked')
    return {
      effect: 'deny',
      rule: null,
      reason: 'the policy could not be asked; the log has the reason',
      isFinal: true,
    }
  }
}

/** What is only tried decides nothing, and neither does that it cannot be asked. */
function withShadow(
  deps: AdminPolicyDeps,
  verdict: AdminVerdict,
  { shadow, question }: { shadow: Snapshot; question: AdminQuestion },
): AdminVerdict {
  try {
    const { effect, rule } = decideBy(deps, shadow, question)
    return effect === verdict.effect ? verdict : { ...verdict, shadow: { effect, rule, policy: shadow.label } }
  } catch (error) {
    deps.log.warn({ err: error }, 'the rules in shadow could not be asked')
    return verdict
  }
}

function decideBy(
  { live, clock, metrics }: AdminPolicyDeps,
  snapshot: Snapshot,
  question: AdminQuestion,
): AdminVerdict {
  const { principal, isAdmin, action, remoteAddress } = question
  const { about } = action
  const place = about === 'unread' ? null : placeOf(about, live.grants)
  const at = { face: 'rest', remoteAddress, now: clock.now() }
  if (snapshot.laws.rules.length > 0) metrics.policy.asked()
  const asked = askedOf(principal, { ...action, place }, at)
  return decideAdmin(snapshot, { asked, isAdmin, isOpen: about === 'unread' })
}
