import type { CallOutcome, CallRequest } from '../tools.ts'
import type { Verdict } from '#policy'
import { renewed } from '../callers/principal.ts'
import type { Attempt, Target } from './attempt.ts'
import { authorize } from './authorize.ts'
import { begin } from './begin.ts'
import { onceApproved } from './approve.ts'
import { askHooksAfter, askHooksBefore } from './ask-hooks.ts'
import { checkInput } from './check-input.ts'
import { checkOutput } from './check-output.ts'
import { screenReply } from './content.ts'
import { chooseCredential } from './credential.ts'
import type { CallDeps } from './deps.ts'
import { dispatch } from './dispatch.ts'
import type { Ending } from './ending.ts'
import { once } from './idempotency.ts'
import { checkLimits } from './limits.ts'
import { record } from './record.ts'
import { resolve } from './resolve.ts'
import { screenFailure } from './screen-failure.ts'

/**
 * The one path of every call, whoever makes it. Read it from top to bottom: each stage either lets the call go on or
 * throws the reason why not, and whatever happens is recorded, durably, before anybody hears of it.
 * Hooks are asked on both sides inside of the content rules: they see only what those have passed, and what they change
 * is screened again. An approval comes after them, so that it is of what will really go out, and inside of idempotency,
 * so that the repeat of a finished call gets its outcome and asks nobody.
 * The caller was authenticated by `admit`, without whose admission no request can be made.
 */
export async function call(deps: CallDeps, request: CallRequest): Promise<CallOutcome> {
  const attempt = begin(deps, request)
  let ending: Ending
  try {
    ending = await run(deps, attempt)
  } catch (error) {
    ending = await screenFailure(deps, attempt, error)
  }
  return record(deps, attempt, ending)
}

async function run(deps: CallDeps, attempt: Attempt): Promise<Ending> {
  const resolved = (attempt.target = resolve(deps.lookup(attempt.request), attempt.request))
  const known = deps.hooks.accessKnown(attempt.request.admission, resolved.things)
  if (known) await known
  let verdict = authorize(deps, attempt, resolved)
  const held = resolved.isHeld === true ? await deps.held.answer({ attempt, target: resolved }) : resolved
  if ('outcome' in held) return held
  const target = (attempt.target = held)
  const passed = await checkInput(deps, attempt, target)
  const params = await askHooksBefore(deps, { attempt, target }, passed)
  const make = async (): Promise<Ending> => {
    if (attempt.approval !== null) verdict = authorizeAgain(deps, attempt, target)
    checkLimits(deps, attempt, target)
    const credential = chooseCredential(deps, attempt, target)
    const answered = await dispatch(deps, attempt, { target, params, credential })
    const screened = await screenReply(deps, { attempt, target }, answered)
    const reply = await askHooksAfter(deps, { attempt, target }, screened)
    return checkOutput(deps, attempt, { target, reply, verdict })
  }
  return once(deps, attempt, target, () => onceApproved(deps, { attempt, target }, make))
}

/** A person may have taken minutes: who calls, and the rules, count as they are when the call is made. */
function authorizeAgain(deps: CallDeps, attempt: Attempt, target: Target): Verdict {
  const { request } = attempt
  attempt.request = { ...request, admission: renewed(request.admission, deps.findMember) }
  return authorize(deps, attempt, target)
}
