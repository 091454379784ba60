import { isJsonObject, type JsonObject } from '#kernel'
import type { CallerSession, SourceCall } from '../../../source.ts'
import { objectAt, stringAt, without } from '../json.ts'
import { encodeHeader } from './param-headers.ts'

export const MODERN_VERSION = '2026-07-28'
export const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks'

/** Who speaks, as every request of the stateless era says it anew. */
export type Speaker = {
  readonly clientInfo: JsonObject
  readonly clientCapabilities: JsonObject
  readonly logLevel?: string | undefined
  readonly progressToken?: number | undefined
  readonly trace?: SourceCall['trace']
}

/** `params` with the envelope in `_meta`; what the caller had in `_meta` stays. */
export function withEnvelope(params: JsonObject, speaker: Speaker): JsonObject {
  const { clientInfo, clientCapabilities, logLevel, progressToken, trace } = speaker
  return {
    ...params,
    _meta: {
      ...objectAt(params, '_meta'),
      ...trace,
      'io.modelcontextprotocol/protocolVersion': MODERN_VERSION,
      'io.modelcontextprotocol/clientInfo': clientInfo,
      'io.modelcontextprotocol/clientCapabilities': clientCapabilities,
      ...(logLevel !== undefined && { 'io.modelcontextprotocol/logLevel': logLevel }),
      ...(progressToken !== undefined && { progressToken }),
    },
  }
}

/** Where `Mcp-Name` comes from (2026-07-28 transports; tasks by SEP-2663). */
const NAMED_BY = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
])

/** The headers that repeat what the body says, so that a proxy need not read it. */
export function standardHeaders(method: string, params: JsonObject): Record<string, string> {
  const field = NAMED_BY.get(method)
  const name = field === undefined ? undefined : stringAt(params, field)
  const common = { 'mcp-protocol-version': MODERN_VERSION, 'mcp-method': method }
  return name === undefined ? common : { ...common, 'mcp-name': encodeHeader(name) }
}

/** The caller's capabilities in the words of 2026-07-28; `understandsTasks` for callers of the session era. */
export function modernCapabilities(
  session: CallerSession,
  { understandsTasks }: { understandsTasks: boolean },
): JsonObject {
  const declared = session.clientCapabilities
  if (session.era === 'modern') return declared
  const { elicitation, roots } = declared
  const isFormOnly = isJsonObject(elicitation) && Object.keys(elicitation).length === 0
  return {
    ...without(declared, 'tasks'),
    ...(isFormOnly && { elicitation: { form: {} } }),
    ...(isJsonObject(roots) && { roots: {} }),
    ...(understandsTasks && { extensions: { ...objectAt(declared, 'extensions'), [TASKS_EXTENSION]: {} } }),
  }
}
