import type { Question, Verdict } from '#policy'
import type { CallMethod } from '../source.ts'
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
  const { admission, method } = attempt.request
  const verdict = deps.policy.decide({
    principal: admission,
    action: ACTIONS[method],
    resource: { gateway: admission.gateway, server: target.server.config.name, name: target.original },
  })
  if (verdict.effect === 'allow') return verdict
  throw unknownTo(attempt.request, verdict.reason)
}
