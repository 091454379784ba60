import { isJsonObject, Problem, type JsonObject } from '#kernel'
import type { RpcError } from '#tools'
import { INVALID_REQUEST } from './problems.ts'

/** JSON-RPC 2.0 messages as MCP allows them: ids are strings or numbers, params are objects. */
export type RpcId = string | number
export type RpcRequest = {
  readonly kind: 'request'
  readonly id: RpcId
  readonly method: string
  readonly params: JsonObject
}
export type RpcNotification = { readonly kind: 'notification'; readonly method: string; readonly params: JsonObject }
export type RpcResponse = {
  readonly kind: 'response'
  readonly id: RpcId
  readonly result?: JsonObject
  readonly error?: RpcError
}
export type RpcMessage = RpcRequest | RpcNotification | RpcResponse
/** The messages of one POST; none for GET and DELETE. */
export type Messages = { readonly list: readonly RpcMessage[]; readonly isBatch: boolean }

const MAX_NAME_LENGTH = 256
const EMPTY: JsonObject = Object.freeze({})

/** Reads one message, or throws a Problem that says which member is wrong. */
export function parseMessage(value: unknown): RpcMessage {
  if (!isJsonObject(value)) throw invalid('A message must be a JSON object.')
  if (value.jsonrpc !== '2.0') throw invalid('The member "jsonrpc" must be "2.0".')
  if (value.method === undefined) return parseResponse(value)
  const method = value.method
  if (typeof method !== 'string' || method === '' || method.length > MAX_NAME_LENGTH) {
    throw invalid(`The member "method" must be a string of 1–${MAX_NAME_LENGTH} characters.`)
  }
  const params = value.params ?? EMPTY
  if (!isJsonObject(params)) throw invalid('The member "params" must be an object.')
  if (value.id === undefined) return { kind: 'notification', method, params }
  return { kind: 'request', id: parseId(value.id), method, params }
}

/** The id of a message that may be broken otherwise, so that an error can name it. */
export function idOf(value: unknown): RpcId | null {
  if (!isJsonObject(value) || value.method === undefined) return null
  return isId(value.id) ? value.id : null
}

function parseResponse(value: JsonObject): RpcResponse {
  if ('result' in value === 'error' in value) {
    throw invalid('A message needs either "method", or exactly one of "result" and "error".')
  }
  const id = parseId(value.id)
  if ('result' in value) {
    if (!isJsonObject(value.result)) throw invalid('The member "result" must be an object.')
    return { kind: 'response', id, result: value.result }
  }
  return { kind: 'response', id, error: parseError(value.error) }
}

function parseError(error: unknown): RpcError {
  if (!isJsonObject(error) || typeof error.code !== 'number' || typeof error.message !== 'string') {
    throw invalid('The member "error" must hold a number "code" and a string "message".')
  }
  return {
    code: error.code,
    message: error.message.slice(0, 4096),
    ...(error.data === undefined ? {} : { data: error.data }),
  }
}

function parseId(id: unknown): RpcId {
  if (!isId(id)) throw invalid(`The member "id" must be a number or a string of at most ${MAX_NAME_LENGTH} characters.`)
  return id
}

function isId(id: unknown): id is RpcId {
  return (typeof id === 'number' && Number.isFinite(id)) || (typeof id === 'string' && id.length <= MAX_NAME_LENGTH)
}

function invalid(detail: string): Problem {
  return new Problem(INVALID_REQUEST, detail)
}
