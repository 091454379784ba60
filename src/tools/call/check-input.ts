import { isJsonObject, type JsonObject } from '#kernel'
import { fillArguments } from '../views/override.ts'
import type { CallRequest } from '../tools.ts'
import { screenParams, type ContentDeps, type ScreenedParams } from './content.ts'
import { hashArguments, type Attempt, type Target } from './attempt.ts'
import { INVALID_PARAMS, Refused } from './refused.ts'
import { toServerParams } from './resolve.ts'

/**
 * What may go to the server: the arguments as the content rules let them through, in the server's own names, with
 * pinned and default ones. Hashes what was sent.
 */
export function checkInput(deps: ContentDeps, attempt: Attempt, target: Target): JsonObject | Promise<JsonObject> {
  const { request } = attempt
  const sent = request.params['arguments']
  if (request.method === 'tools/call' && sent !== undefined && !isJsonObject(sent)) {
    throw new Refused('failed', { code: INVALID_PARAMS, message: '"arguments" must be an object' })
  }
  attempt.argsHash = hashArguments(request.method, request.params)
  const screened = screenParams(deps, { attempt, target })
  const finish = ({ sent: kept, going }: ScreenedParams): JsonObject => {
    attempt.passed = toServer(kept, request, target)
    return kept === going ? attempt.passed : toServer(going, request, target)
  }
  return screened instanceof Promise ? screened.then(finish) : finish(screened)
}

function toServer(sent: JsonObject, request: CallRequest, target: Target): JsonObject {
  const params = toServerParams(request, sent, target)
  const override = target.binding?.override
  if (!override) return params
  const filled = fillArguments(isJsonObject(sent['arguments']) ? sent['arguments'] : {}, override)
  if (filled.ok) return { ...params, arguments: filled.arguments }
  const message = `Argument "${filled.refused}" is set by this gateway and may not be sent.`
  throw new Refused('denied', { code: INVALID_PARAMS, message })
}
