import { isJsonObject, type JsonObject } from '#kernel'
import { Payload } from '../../../payload.ts'
import type { RpcError } from '../../../source.ts'
import { isShallowJson, scanMessage, type Span } from './scan.ts'

export type RpcId = string | number

/** One JSON-RPC 2.0 message from a server. A result stays bytes; the rest is small and is parsed. */
export type WireMessage =
  | {
      readonly kind: 'result'
      readonly id: RpcId
      readonly result: Payload
      readonly isError: boolean
      readonly resultType: string | undefined
    }
  | { readonly kind: 'error'; readonly id: RpcId | null; readonly error: RpcError }
  | { readonly kind: 'request'; readonly id: RpcId; readonly method: string; readonly params: JsonObject }
  | { readonly kind: 'notification'; readonly method: string; readonly params: JsonObject }

export type Answer = Extract<WireMessage, { kind: 'result' | 'error' }>

/**
 * Reads what stands in one JSON body or SSE event: a message, or the batch of 2025-03-26.
 * `undefined` when it is anything else. The bytes become the payload's: nobody may write to them afterwards.
 */
export function readMessages(bytes: Buffer): readonly WireMessage[] | undefined {
  const scan = scanMessage(bytes)
  if (scan === undefined) return readBatch(bytes)
  if (scan.result === undefined || scan.method !== undefined) {
    const message = readParsed(parseJson(bytes))
    return message === undefined ? undefined : [message]
  }
  const id = readId(bytes, scan.id)
  if (id === undefined || bytes[scan.result.start] !== 0x7b) return undefined
  return [
    {
      kind: 'result',
      id,
      result: Payload.ofBytes(onOneLine(bytes.subarray(scan.result.start, scan.result.end))),
      isError: scan.isError,
      resultType: scan.resultType === undefined ? undefined : readString(bytes, scan.resultType),
    },
  ]
}

/** The JSON-RPC error in a refused request's body, if there is one. */
export function readRpcError(body: Buffer): RpcError | undefined {
  const message = readMessages(body)?.[0]
  return message?.kind === 'error' ? message.error : undefined
}

/** In valid JSON a line break stands only between tokens, where a space does as well; SSE lines must not hold one. */
function onOneLine(bytes: Buffer): Buffer {
  for (const lineBreak of [0x0a, 0x0d]) {
    for (let at = bytes.indexOf(lineBreak); at !== -1; at = bytes.indexOf(lineBreak, at + 1)) bytes[at] = 0x20
  }
  return bytes
}

function readId(bytes: Buffer, span: Span | undefined): RpcId | undefined {
  if (span === undefined) return undefined
  const id: unknown = JSON.parse(bytes.toString('utf8', span.start, span.end))
  return isRpcId(id) ? id : undefined
}

function readString(bytes: Buffer, span: Span): string {
  return String(JSON.parse(bytes.toString('utf8', span.start, span.end)))
}

const MAX_BATCH = 1_000

function readBatch(bytes: Buffer): readonly WireMessage[] | undefined {
  if (bytes.toString('latin1', 0, 16).trimStart().startsWith('[') === false) return undefined
  if (!isShallowJson(bytes)) return undefined
  const batch = parseJson(bytes)
  if (!Array.isArray(batch) || batch.length > MAX_BATCH) return undefined
  return batch.map((item: unknown) => readParsed(item)).filter((message) => message !== undefined)
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}

function readParsed(value: unknown): WireMessage | undefined {
  if (!isJsonObject(value)) return undefined
  const { id, method, result, error } = value
  if (typeof method === 'string') {
    const params = isJsonObject(value['params']) ? value['params'] : {}
    return isRpcId(id) ? { kind: 'request', id, method, params } : { kind: 'notification', method, params }
  }
  if (isJsonObject(result) && isRpcId(id)) {
    const { resultType, isError } = result
    return {
      kind: 'result',
      id,
      result: Payload.ofValue(result),
      isError: isError === true,
      resultType: typeof resultType === 'string' ? resultType : undefined,
    }
  }
  const rpc = readError(error)
  return rpc === undefined ? undefined : { kind: 'error', id: isRpcId(id) ? id : null, error: rpc }
}

function readError(value: unknown): RpcError | undefined {
  if (!isJsonObject(value) || typeof value['code'] !== 'number') return undefined
  const { code, message, data } = value
  const text = typeof message === 'string' ? message : ''
  return data === undefined ? { code, message: text } : { code, message: text, data }
}

function isRpcId(value: unknown): value is RpcId {
  return typeof value === 'string' || typeof value === 'number'
}
