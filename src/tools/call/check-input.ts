import { isJsonObject, type JsonObject } from '#kernel'
import { fillArguments } from '../override.ts'
import { hashArguments, type Attempt, type Target } from './attempt.ts'
import { INVALID_PARAMS, Refused } from './refused.ts'
import { toServerParams } from './resolve.ts'

/** Makes the caller's parameters into the server's: original names, pinned and default arguments; hashes the arguments. */
export function checkInput(attempt: Attempt, target: Target): JsonObject {
  const { request } = attempt
  const sent = request.params['arguments']
  if (request.method === 'tools/call' && sent !== undefined && !isJsonObject(sent)) {
    throw new Refused('failed', { code: INVALID_PARAMS, message: '"arguments" must be an object' })
  }
  attempt.argsHash = hashArguments(request.method, request.params)
  const params = toServerParams(request, target)
  const override = target.binding?.override
  if (!override) return params
  const filled = fillArguments(isJsonObject(sent) ? sent : {}, override)
  if (filled.ok) return { ...params, arguments: filled.arguments }
  const message = `Argument "${filled.refused}" is set by this gateway and may not be sent.`
  throw new Refused('denied', { code: INVALID_PARAMS, message })
}
