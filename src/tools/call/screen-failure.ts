import { BLOCKED_INPUT, WITHHELD_OUTPUT } from '#content'
import { isProblem, type JsonObject } from '#kernel'
import { Payload } from '../payload.ts'
import type { Attempt } from './attempt.ts'
import { findsNothing, screenError, screenReply, screenUnknown, type ContentDeps, type Place } from './content.ts'
import { endingOf, type Ending } from './ending.ts'
import { isNamedByAddress, listedNameOf, nameIn } from './named.ts'
import { Refused } from './refused.ts'

/** The ending of a call that threw. Its words may quote what a server said, so the content rules hold for them as well. */
export async function screenFailure(deps: ContentDeps, attempt: Attempt, error: unknown): Promise<Ending> {
  const ending = endingOf(error, attempt)
  const { target } = attempt
  if (target === null) return screenName(deps, attempt, ending)
  if (error instanceof Refused) await screenAddress(deps, { attempt, target })
  if (isOurs(error)) return ending
  try {
    return await screenEnding(deps, { attempt, target }, ending)
  } catch (refusal) {
    return { ...endingOf(refusal, attempt), decision: 'failed', reason: 'the reason is withheld by a content rule' }
  }
}

/** Whoever asks for what is not there can name anything: the record must not tell what a rule takes out. */
async function screenName(deps: ContentDeps, attempt: Attempt, ending: Ending): Promise<Ending> {
  const name = nameIn(attempt.request.params)
  const passed = name === null ? name : await screenUnknown(deps, attempt, name).catch(() => WITHHELD)
  if (passed === name) return ending
  attempt.namedAs = passed
  return { ...ending, reason: 'there is nothing of the name, in which a content rule found something' }
}

const WITHHELD = '[redacted]'

/** Refused before the rules looked at what the caller sent: the address is in the record all the same. */
async function screenAddress(deps: ContentDeps, at: Place): Promise<void> {
  const { attempt, target } = at
  if (attempt.passed !== null || attempt.rules.length > 0 || !isNamedByAddress(attempt.request.method)) return
  const isClean = await findsNothing(deps, at).catch(() => false)
  if (!isClean) attempt.namedAs = listedNameOf(target)
}

/** Refusals are in our own words. */
function isOurs(error: unknown): boolean {
  return error instanceof Refused || isProblem(error, BLOCKED_INPUT) || isProblem(error, WITHHELD_OUTPUT)
}

async function screenEnding(deps: ContentDeps, at: Place, ending: Ending): Promise<Ending> {
  const { outcome } = ending
  const { message: reason } = await screenError(deps, at, { code: 0, message: ending.reason })
  switch (outcome.kind) {
    case 'error':
      return { ...ending, reason, outcome: { ...outcome, error: await screenError(deps, at, outcome.error) } }
    case 'complete': {
      const value: JsonObject = outcome.result.value()
      const reply = { kind: 'complete', result: Payload.ofValue(value), isError: true } as const
      const screened = await screenReply(deps, at, reply)
      return {
        ...ending,
        reason,
        outcome: screened.kind === 'complete' ? { kind: 'complete', result: screened.result } : outcome,
      }
    }
    case 'input':
    case 'task':
      return ending
  }
}
