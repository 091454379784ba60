import { isJsonObject, type Json, type JsonObject } from '#kernel'
import { Payload } from '../../../payload.ts'
import type { RpcError } from '../../../source.ts'
import type { LinkResponse, ServerMessage } from '../link.ts'
import { isShallowJson } from '../wire/scan.ts'

/** What one line of a server's stdout turned out to be. */
export type Incoming =
  | { readonly kind: 'response'; readonly id: number; readonly response: LinkResponse }
  | { readonly kind: 'broken-response'; readonly id: number; readonly why: string }
  | { readonly kind: 'message'; readonly message: ServerMessage }
  | { readonly kind: 'noise' }

const MAX_BATCH = 1_000

/** Reads one line: a message, or a batch of them as 2025-03-26 allowed. Never throws; what is not JSON-RPC is noise. */
export function readLine(bytes: Buffer): readonly Incoming[] {
  const value = parseJson(bytes)
  if (!Array.isArray(value) || value.length === 0) return [readMessage(value)]
  return value.length > MAX_BATCH ? [{ kind: 'noise' }] : value.map(readMessage)
}

/** Deep JSON is refused: whoever writes it again later would run out of stack. */
function parseJson(bytes: Buffer): unknown {
  if (!isShallowJson(bytes)) return undefined
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}

function readMessage(value: unknown): Incoming {
  if (!isJsonObject(value) || value['jsonrpc'] !== '2.0') return { kind: 'noise' }
  return typeof value['method'] === 'string' ? readRequest(value, value['method']) : readResponse(value)
}

function readRequest(value: JsonObject, method: string): Incoming {
  const { id, params = {} } = value
  if (!isJsonObject(params)) return { kind: 'noise' }
  if (id === undefined) return { kind: 'message', message: { method, params } }
  if (typeof id !== 'string' && typeof id !== 'number') return { kind: 'noise' }
  return { kind: 'message', message: { id, method, params } }
}

function readResponse(value: JsonObject): Incoming {
  const { id, result, error } = value
  if (typeof id !== 'number') return { kind: 'noise' }
  if (error !== undefined) return readError(id, error)
  if (!isJsonObject(result)) return { kind: 'broken-response', id, why: 'the result is not an object' }
  return { kind: 'response', id, response: { result: Payload.ofValue(result), isError: result['isError'] === true } }
}

function readError(id: number, error: Json): Incoming {
  if (!isJsonObject(error) || typeof error['code'] !== 'number' || typeof error['message'] !== 'string')
    return { kind: 'broken-response', id, why: 'the error has no code and message' }
  const { code, message, data } = error
  const read: RpcError = data === undefined ? { code, message } : { code, message, data }
  return { kind: 'response', id, response: { error: read } }
}

/**
 * The request that an over-long response answers, from its first and last bytes; undefined when they do not say.
 * A quote in a JSON string is escaped, so a bare `"id":` next to the outermost brace is the message's own member.
 */
export function findResponseId(ends: { head: Buffer; tail: Buffer }): number | undefined {
  const atStart = /^\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(\d{1,15})\s*,/.exec(
    ends.head.toString('latin1'),
  )
  const atEnd = /,\s*"id"\s*:\s*(\d{1,15})\s*\}\s*$/.exec(ends.tail.toString('latin1'))
  const digits = atStart?.[1] ?? atEnd?.[1]
  return digits === undefined ? undefined : Number(digits)
}
