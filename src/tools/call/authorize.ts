import { isJsonObject, type JsonObject } from '#kernel'
import { decideOfAll, type AskedAbout, type Policy, type Question, type Verdict } from '#policy'
import { fillArguments } from '../views/override.ts'
import type { CallerSession, CallMethod } from '../source.ts'
import { lackOfScopes } from '../views/step-up.ts'
import type { Admission } from '../tools.ts'
import type { Attempt, Target } from './attempt.ts'
import type { CallDeps } from './deps.ts'
import { unknownTo } from './refused.ts'

const ACTIONS: Readonly<Record<CallMethod, Question['action']>> = {
  'tools/call': 'call',
  'resources/read': 'read',
  'prompts/get': 'prompt',
  'completion/complete': 'complete',
  'tasks/get': 'call',
  'tasks/update': 'call',
  'tasks/cancel': 'call',
}

/** Asks the policy. A no reads exactly like "unknown", so that it tells nothing about what exists. */
export function authorize(deps: Pick<CallDeps, 'policy'>, attempt: Attempt, target: Target): Verdict {
  const { request } = attempt
  const { admission, method, session } = request
  const { things, pages = [] } = target
  const args = () => argumentsFor(attempt, target)
  const wanted = { action: ACTIONS[method], things, pages, session, args }
  const verdict = mayUse(deps.policy, admission, wanted)
  attempt.verdict = withShadow(deps, admission, { wanted, verdict })
  if (verdict.effect === 'allow' && !isPastApproval(method, verdict)) {
    const lack = lackOfScopes(target.view.stepUp, admission.principal, things)
    if (lack !== null) throw lack
    return verdict
  }
  throw unknownTo(request, verdict.reason)
}

/** Suggestions for an argument are no call that a person could decide. */
function isPastApproval(method: CallMethod, { approval }: Verdict): boolean {
  return method === 'completion/complete' && approval !== undefined
}

/** With what the rules that are only tried would have said, where that is something else. */
function withShadow(
  deps: Pick<CallDeps, 'policy'>,
  admission: Admission,
  { wanted, verdict }: { wanted: Wanted; verdict: Verdict },
): Verdict {
  const shadow = deps.policy.shadow()
  if (shadow === null) return verdict
  const { effect, rule, policy = '' } = mayUse(shadow, admission, wanted)
  return effect === verdict.effect ? verdict : { ...verdict, shadow: { effect, rule, policy } }
}

/** The arguments as the server will get them, so that no default or pinned value slips past a rule. */
function argumentsFor({ request }: Attempt, { binding }: Target): JsonObject {
  const sent = request.params['arguments']
  const given = isJsonObject(sent) ? sent : {}
  const filled = fillArguments(given, binding?.override)
  return filled.ok ? filled.arguments : given
}

export type Wanted = AskedAbout & {
  readonly action: Question['action']
  readonly session?: Pick<CallerSession, 'clientInfo'>
  /** Without: could it be allowed with any? */
  readonly args?: () => JsonObject
}

/** What the policy says of all things that something is: none may be forbidden, and one must be allowed. */
export function mayUse(policy: Pick<Policy, 'decide'>, admission: Admission, wanted: Wanted): Verdict {
  const { action, session, args } = wanted
  const principal = admission.principal
  const name = session?.clientInfo['name']
  const at = { ...admission.from, scopes: principal.scopes, client: typeof name === 'string' ? name : '' }
  return decideOfAll(wanted, (thing, doing = action) => policy.decide({ principal, action: doing, thing, at, args }))
}
