import type { CallOutcome, CallRequest } from '../tools.ts'
import type { Attempt } from './attempt.ts'
import { authorize } from './authorize.ts'
import { begin } from './begin.ts'
import { checkInput } from './check-input.ts'
import { checkOutput } from './check-output.ts'
import { chooseCredential } from './credential.ts'
import type { CallDeps } from './deps.ts'
import { dispatch } from './dispatch.ts'
import { endingOf, type Ending } from './ending.ts'
import { once } from './idempotency.ts'
import { checkLimits } from './limits.ts'
import { record } from './record.ts'
import { resolve } from './resolve.ts'

/**
 * The one path of every call, whoever makes it. Read it from top to bottom: each stage either lets the call go on or
 * throws the reason why not, and whatever happens is recorded, durably, before anybody hears of it.
 * The caller was authenticated by `admit`, without whose admission no request can be made.
 */
export async function call(deps: CallDeps, request: CallRequest): Promise<CallOutcome> {
  const attempt = begin(deps, request)
  let ending: Ending
  try {
    ending = await run(deps, attempt)
  } catch (error) {
    ending = endingOf(error, attempt)
  }
  return record(deps, attempt, ending)
}

async function run(deps: CallDeps, attempt: Attempt): Promise<Ending> {
  const target = (attempt.target = resolve(deps.lookup(attempt.request), attempt.request))
  const verdict = authorize(deps, attempt, target)
  const params = (attempt.passed = checkInput(attempt, target))
  return once(deps, attempt, target, async () => {
    checkLimits(deps, attempt, target)
    const credential = chooseCredential(target)
    const reply = await dispatch(deps, attempt, { target, params, credential })
    return checkOutput(deps, attempt, { target, reply, verdict })
  })
}
