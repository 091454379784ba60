import { Problem, type JsonObject } from '#kernel'
import { hasTasks, TASKS_EXTENSION } from '../bridge/capabilities.ts'
import { MISSING_CAPABILITY } from '../problems.ts'

export function lacksCapability(requiredCapabilities: JsonObject, why: string): Problem {
  return new Problem(MISSING_CAPABILITY, `${why} Declare the capability with the request.`, { requiredCapabilities })
}

/** Throws unless the client declared the tasks extension with this very request. */
export function requireTasks(declared: JsonObject, what: string): void {
  if (hasTasks(declared)) return
  throw lacksCapability({ extensions: { [TASKS_EXTENSION]: {} } }, `${what} is only for clients with tasks.`)
}
