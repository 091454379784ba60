import { isJsonObject, Problem, type JsonObject } from '#kernel'
import { legacyCapabilities } from '../bridge/capabilities.ts'
import type { Exchange, FaceContext } from '../context.ts'
import { INVALID_PARAMS } from '../problems.ts'
import type { RpcRequest } from '../rpc.ts'
import { resultMessage, sendJson } from '../write.ts'
import type { ClientProfile } from './session.ts'
import { MAX_PROFILE_CHARS, type Sessions } from './sessions.ts'

/** The session-era revisions spoken here, newest first. */
export const LEGACY_VERSIONS: readonly string[] = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05']

/** Begins a session: agrees on a version and says what the gateway offers. Needs no server behind to be awake. */
export function initialize(face: FaceContext, sessions: Sessions, exchange: Exchange, message: RpcRequest): void {
  const { protocolVersion: asked, profile } = readParams(message.params)
  const protocolVersion = LEGACY_VERSIONS.find((version) => version === asked) ?? '2025-11-25'
  const { capabilities, title, instructions } = face.tools.describe(exchange.admission)
  const session = sessions.open(exchange.admission, { protocolVersion, profile })
  const result = {
    protocolVersion,
    capabilities: legacyCapabilities(capabilities, protocolVersion),
    serverInfo: { ...face.house, title },
    ...(instructions === undefined ? {} : { instructions }),
  }
  const body = resultMessage(message.id, [Buffer.from(JSON.stringify(result))])
  sendJson(exchange.res, { status: 200, body, headers: { 'mcp-session-id': session.id } })
}

function readParams(params: JsonObject): { protocolVersion: string; profile: ClientProfile } {
  const { protocolVersion, capabilities, clientInfo } = params
  if (typeof protocolVersion !== 'string') throw invalid('"params.protocolVersion" must be a string.')
  if (!isJsonObject(capabilities)) throw invalid('"params.capabilities" must be an object.')
  if (!isJsonObject(clientInfo)) throw invalid('"params.clientInfo" must be an object.')
  const profile = { clientInfo, clientCapabilities: capabilities }
  if (JSON.stringify(profile).length > MAX_PROFILE_CHARS) {
    throw invalid(`"params.clientInfo" and "params.capabilities" are longer than ${MAX_PROFILE_CHARS} characters.`)
  }
  return { protocolVersion, profile }
}

function invalid(detail: string): Problem {
  return new Problem(INVALID_PARAMS, detail)
}
