import { isJsonObject } from '#kernel'
import type { AskRequest, RpcError } from '#tools'

/** JSON-RPC errors of a call in the words of each era. */

const RESOURCE_NOT_FOUND = -32002
const INVALID_PARAMS = -32602
const URL_ELICITATION_REQUIRED = -32042

/** Errors that a modern client also finds in the HTTP status; all others are part of a good answer. */
const STATUS: ReadonlyMap<number, number> = new Map([
  [-32601, 404],
  [-32020, 400],
  [-32021, 400],
  [-32022, 400],
])

export type ModernError =
  | { readonly kind: 'error'; readonly error: RpcError; readonly status: number }
  | { readonly kind: 'input'; readonly inputRequests: Readonly<Record<string, AskRequest>> }

/**
 * 2026-07-28 knows neither -32002 nor -32042. The second asks the user to open pages and the client to call again,
 * which is what "input required" without a state says there.
 */
export function modernError(error: RpcError): ModernError {
  if (error.code === RESOURCE_NOT_FOUND)
    return { kind: 'error', error: { ...error, code: INVALID_PARAMS }, status: 200 }
  if (error.code === URL_ELICITATION_REQUIRED) {
    const inputRequests = urlRequests(error.data)
    if (Object.keys(inputRequests).length > 0) return { kind: 'input', inputRequests }
    return { kind: 'error', error: { ...error, code: INVALID_PARAMS }, status: 200 }
  }
  return { kind: 'error', error, status: STATUS.get(error.code) ?? 200 }
}

/** 2025-11-25 server/resources: a resource that does not exist has a code of its own there. */
export function legacyError(error: RpcError, method: string): RpcError {
  const isNotFound = error.code === INVALID_PARAMS && isJsonObject(error.data) && typeof error.data.uri === 'string'
  return method === 'resources/read' && isNotFound ? { ...error, code: RESOURCE_NOT_FOUND } : error
}

function urlRequests(data: unknown): Record<string, AskRequest> {
  const elicitations = isJsonObject(data) && Array.isArray(data.elicitations) ? data.elicitations : []
  const urls = elicitations.filter(isJsonObject).map(({ elicitationId: _id, ...params }) => params)
  return Object.fromEntries(
    urls.map((params, index) => [
      `url-${index + 1}`,
      { method: 'elicitation/create', params: { ...params, mode: 'url' } },
    ]),
  )
}
