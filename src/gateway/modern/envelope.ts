import type { IncomingMessage } from 'node:http'
import { isJsonObject, Problem, type JsonObject } from '#kernel'
import { isLogLevel } from '#tools'
import { headerOf } from '../context.ts'
import { HEADER_MISMATCH, INVALID_PARAMS, UNSUPPORTED_VERSION } from '../problems.ts'
import type { RpcMessage, RpcRequest } from '../rpc.ts'
import { decodeHeader } from './header-value.ts'

export const MODERN_VERSIONS: readonly string[] = ['2026-07-28']
const DATE = /^\d{4}-\d{2}-\d{2}$/
const FIRST_MODERN_VERSION = '2026-07-28'
// Whole names, not put together at each use: a member looked up by a new string every time is never looked up fast.
const PROTOCOL_VERSION = 'io.modelcontextprotocol/protocolVersion'
const CLIENT_CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities'
const CLIENT_INFO = 'io.modelcontextprotocol/clientInfo'
const LOG_LEVEL = 'io.modelcontextprotocol/logLevel'

/** What a modern client says about itself with every request. */
export type Envelope = {
  readonly protocolVersion: string
  readonly clientInfo: JsonObject
  readonly clientCapabilities: JsonObject
  readonly logLevel: string | undefined
}

/** A message is modern when its `_meta` says so, or when the header names a revision without sessions. */
export function isModern(req: IncomingMessage, message: RpcMessage): boolean {
  if (message.kind === 'response') return false
  const meta = message.params._meta
  if (isJsonObject(meta) && meta[PROTOCOL_VERSION] !== undefined) return true
  const version = headerOf(req, 'mcp-protocol-version')
  // A client that begins a session says so in the body, whatever its transport puts into the header.
  const beginsSession = message.method === 'initialize' && !isJsonObject(meta)
  return version !== undefined && DATE.test(version) && version >= FIRST_MODERN_VERSION && !beginsSession
}

/** Reads the envelope and holds the headers against it (2026-07-28 basic/transports), or throws the fitting problem. */
export function readEnvelope(req: IncomingMessage, message: RpcRequest): Envelope {
  const meta = message.params._meta
  if (!isJsonObject(meta)) throw missing('_meta')
  const version = meta[PROTOCOL_VERSION]
  if (typeof version !== 'string') throw missing(`_meta["${PROTOCOL_VERSION}"]`)
  requireHeader(req, 'MCP-Protocol-Version', version)
  if (!MODERN_VERSIONS.includes(version)) throw unsupported(version)
  const clientCapabilities = meta[CLIENT_CAPABILITIES]
  if (!isJsonObject(clientCapabilities)) throw missing(`_meta["${CLIENT_CAPABILITIES}"]`)
  const clientInfo = meta[CLIENT_INFO] ?? {}
  if (!isJsonObject(clientInfo)) throw missing(`_meta["${CLIENT_INFO}"] as an object`)
  const logLevel = meta[LOG_LEVEL]
  if (logLevel !== undefined && !isLogLevel(logLevel)) throw missing(`a known level in _meta["${LOG_LEVEL}"]`)
  requireHeader(req, 'Mcp-Method', message.method)
  requireName(req, message)
  return { protocolVersion: version, clientInfo, clientCapabilities, logLevel }
}

/** The member of `params` that `Mcp-Name` repeats. */
const NAMED_BY: ReadonlyMap<string, string> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
])

function requireName(req: IncomingMessage, message: RpcRequest): void {
  const member = NAMED_BY.get(message.method)
  if (member === undefined) return
  const name = message.params[member]
  if (typeof name !== 'string') throw new Problem(INVALID_PARAMS, `"params.${member}" must be a string.`)
  requireHeader(req, 'Mcp-Name', name)
}

function requireHeader(req: IncomingMessage, name: string, expected: string): void {
  const sent = headerOf(req, name.toLowerCase())
  if (sent === expected) return
  if (sent === undefined) {
    throw new Problem(HEADER_MISMATCH, `The header ${name} is missing. Send it with the same value as in the body.`)
  }
  const decoded = decodeHeader(sent)
  if (decoded === expected) return
  throw new Problem(
    HEADER_MISMATCH,
    decoded === null
      ? `The header ${name} is not plain ASCII and not valid =?base64?…?= text.`
      : `The header ${name} is "${decoded.slice(0, 200)}", which differs from the body. Send the value of the body.`,
  )
}

function missing(what: string): Problem {
  return new Problem(INVALID_PARAMS, `The request lacks ${what}. Send it with every request of this protocol version.`)
}

function unsupported(requested: string): Problem {
  const supported = MODERN_VERSIONS.join(', ')
  return new Problem(
    UNSUPPORTED_VERSION,
    `The protocol version "${requested.slice(0, 64)}" is not spoken here. Use ${supported}, or begin a session with "initialize".`,
    { supported: [...MODERN_VERSIONS], requested: requested.slice(0, 64) },
  )
}
