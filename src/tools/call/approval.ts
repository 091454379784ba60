import type { Attempt } from './attempt.ts'
import { INVALID_PARAMS, Refused } from './refused.ts'

/** A call that a rule wants approved is not made: nobody can approve it here yet. */
export function requireApproval({ needsApproval }: Attempt): void {
  if (needsApproval === null) return
  const message = `This call was not made: the content rule "${needsApproval.name}" wants a person to approve it first.`
  throw new Refused('denied', { code: INVALID_PARAMS, message })
}
