import type { ServerResponse } from 'node:http'
import { Problem, type JsonObject } from '#kernel'
import type { RpcError } from '#tools'
import { rpcErrorOf } from './problems.ts'
import type { RpcId } from './rpc.ts'

/** The bytes of one JSON-RPC message, in pieces, so that a large result is never copied. */
export type Pieces = readonly Buffer[]

/** From this size on pieces are written one by one; below, one copy is cheaper than several writes. */
const COPY_BELOW_BYTES = 64 * 1024
const CLOSE = Buffer.from('}')

export function resultMessage(id: RpcId, result: Pieces): Buffer[] {
  return [Buffer.from(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":`), ...result, CLOSE]
}

export function errorMessage(id: RpcId | null, error: RpcError): Buffer[] {
  return [Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, error }))]
}

export function notificationMessage(method: string, params: JsonObject): Buffer[] {
  return [Buffer.from(JSON.stringify({ jsonrpc: '2.0', method, params }))]
}

export function requestMessage(id: RpcId, method: string, params: JsonObject | undefined): Buffer[] {
  return [Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, method, ...(params === undefined ? {} : { params }) }))]
}

export function sizeOf(pieces: Pieces): number {
  let size = 0
  for (const piece of pieces) size += piece.length
  return size
}

/** Answers with one JSON body. */
export function sendJson(
  res: ServerResponse,
  reply: { status: number; body: Pieces; headers?: Readonly<Record<string, string>> },
): void {
  if (res.headersSent || res.destroyed) return
  const size = sizeOf(reply.body)
  res.writeHead(reply.status, {
    'content-type': 'application/json',
    'content-length': size,
    'cache-control': 'no-store',
    ...reply.headers,
  })
  if (size < COPY_BELOW_BYTES) {
    // As text with one byte a character, headers and body leave in one write.
    res.end(Buffer.concat(reply.body, size).toString('latin1'), 'latin1')
    return
  }
  res.cork()
  for (const piece of reply.body) res.write(piece)
  res.end()
}

export function sendEmpty(res: ServerResponse, status: number, headers: Readonly<Record<string, string>> = {}): void {
  if (res.headersSent || res.destroyed) return
  res.writeHead(status, { 'content-length': 0, ...headers })
  res.end()
}

/**
 * Answers with a problem as JSON-RPC error and HTTP status. Who is not let in is told how to be: `metadata` is where a
 * client finds out how to sign somebody in (RFC 9728 §5.1), null at a gateway that takes keys only.
 */
export function sendProblem(
  res: ServerResponse,
  problem: Problem,
  to: { readonly id: RpcId | null; readonly metadata: string | null },
): void {
  const { status } = problem.kind
  const headers: Record<string, string> = {}
  const challenge = challengeOf(problem, to.metadata)
  if (challenge !== null) headers['www-authenticate'] = challenge
  if (status === 405) headers.allow = 'POST'
  sendJson(res, { status, body: errorMessage(to.id, rpcErrorOf(problem)), headers })
}

/** RFC 6750 §3, with the names of errors that clients act upon, and the scopes that the next token has to have. */
function challengeOf({ kind: { status, code }, extra }: Problem, metadata: string | null): string | null {
  const lacksScope = code === 'oauth/insufficient-scope' || code === 'tools/scope-needed'
  if (status !== 401 && !lacksScope) return null
  if (metadata === null) return 'Bearer realm="gatehouse"'
  const scope = typeof extra['scope'] === 'string' ? extra['scope'] : 'mcp'
  const where = `resource_metadata="${metadata}", scope="${scope}"`
  if (lacksScope) return `Bearer error="insufficient_scope", ${where}`
  return code === 'oauth/invalid-token' ? `Bearer error="invalid_token", ${where}` : `Bearer ${where}`
}
