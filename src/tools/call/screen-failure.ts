import { BLOCKED_INPUT, WITHHELD_OUTPUT } from '#content'
import { isProblem, type JsonObject } from '#kernel'
import { Payload } from '../payload.ts'
import type { Attempt } from './attempt.ts'
import { screenError, screenReply, type ContentDeps, type Place } from './content.ts'
import { endingOf, type Ending } from './ending.ts'
import { Refused } from './refused.ts'

/** The ending of a call that threw. Its words may quote what a server said, so the content rules hold for them as well. */
export async function screenFailure(deps: ContentDeps, attempt: Attempt, error: unknown): Promise<Ending> {
  const ending = endingOf(error, attempt)
  const { target } = attempt
  if (target === null || isOurs(error)) return ending
  try {
    return await screenEnding(deps, { attempt, target }, ending)
  } catch (refusal) {
    return { ...endingOf(refusal, attempt), decision: 'failed', reason: 'the reason is withheld by a content rule' }
  }
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
