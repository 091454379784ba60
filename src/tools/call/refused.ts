import { isJsonObject } from '#kernel'
import type { RpcError } from '../source.ts'
import type { CallRequest } from '../tools.ts'

/** A call that ends before its server has answered, with what the caller is told and what the audit says. */
export class Refused extends Error {
  readonly error: RpcError
  readonly decision: 'denied' | 'failed'

  constructor(decision: 'denied' | 'failed', error: RpcError, reason = error.message) {
    super(reason)
    this.name = 'Refused'
    this.decision = decision
    this.error = error
  }
}

export const INVALID_PARAMS = -32602
export const INTERNAL_ERROR = -32603
/** "Resource not found" until 2025-11-25; since 2026-07-28 it is -32602. */
const LEGACY_RESOURCE_NOT_FOUND = -32002

/**
 * "There is no such thing": the same answer, to the last byte, for what does not exist and for what the caller may not
 * use. `reason` is for the audit only.
 */
export function unknownTo(request: Pick<CallRequest, 'method' | 'params' | 'session'>, reason?: string): Refused {
  return new Refused('denied', unknownError(request), reason)
}

function unknownError({ method, params, session }: Pick<CallRequest, 'method' | 'params' | 'session'>): RpcError {
  switch (method) {
    case 'tools/call':
      return { code: INVALID_PARAMS, message: `Unknown tool: ${quote(params['name'])}` }
    case 'prompts/get':
      return { code: INVALID_PARAMS, message: `Unknown prompt: ${quote(params['name'])}` }
    case 'completion/complete': {
      const ref = isJsonObject(params['ref']) ? params['ref'] : {}
      if (ref['type'] === 'ref/prompt')
        return { code: INVALID_PARAMS, message: `Unknown prompt: ${quote(ref['name'])}` }
      return { code: INVALID_PARAMS, message: `Unknown resource template: ${quote(ref['uri'])}` }
    }
    case 'resources/read': {
      const code = session.era === 'legacy' ? LEGACY_RESOURCE_NOT_FOUND : INVALID_PARAMS
      const uri = params['uri'] ?? null
      return { code, message: `Resource not found: ${quote(uri)}`, data: { uri } }
    }
    case 'tasks/get':
    case 'tasks/update':
    case 'tasks/cancel':
      return { code: INVALID_PARAMS, message: `Unknown task: ${quote(params['taskId'])}` }
  }
}

function quote(value: unknown): string {
  const text = typeof value === 'string' ? value : ''
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text)
}
