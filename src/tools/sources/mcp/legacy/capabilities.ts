import { isJsonObject, type JsonObject } from '#kernel'
import type { CallerSession } from '../../../source.ts'
import { objectAt, without } from '../json.ts'
import { soundCapabilities } from './sound-client.ts'

/** The versions of the session era, newest first; the first is what we propose. */
export const LEGACY_VERSIONS = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05', '2024-10-07']

/** What a probe declares, so that a server shows also what it offers only to able clients. */
export const ALL_CAPABILITIES: JsonObject = {
  elicitation: { form: {}, url: {} },
  sampling: { tools: {}, context: {} },
  roots: { listChanged: true },
}

/**
 * The caller's capabilities in the words of 2025-11-25. Tasks that a server would start at the client are left out:
 * asks are carried as single questions.
 */
export function legacyCapabilities({ clientCapabilities, era }: CallerSession): JsonObject {
  const declared = without(soundCapabilities(clientCapabilities), 'tasks')
  return era === 'modern' && isJsonObject(declared['roots']) ? { ...declared, roots: {} } : declared
}

/** Why this caller cannot be asked this, as the JSON-RPC error for the server; undefined when it can. */
export function refusalOf(capabilities: JsonObject, method: string, params: JsonObject) {
  const capability = CAPABILITY_OF.get(method)
  const declared = capability === undefined ? undefined : capabilities[capability]
  if (!isJsonObject(declared)) return { code: -32601, message: `the client does not support ${method}` }
  if ('task' in params) return { code: -32602, message: 'the client does not run requests as tasks' }
  if (method === 'elicitation/create') return refusalOfElicitation(declared, params)
  const needsTools = method === 'sampling/createMessage' && ('tools' in params || 'toolChoice' in params)
  if (needsTools && !isJsonObject(declared['tools'])) {
    return { code: -32602, message: 'the client does not support tools in sampling' }
  }
  return undefined
}

/** What a caller would have had to declare to be asked this, in the words of 2026-07-28; undefined for other requests. */
export function capabilityFor(method: string, params: JsonObject): JsonObject | undefined {
  const capability = CAPABILITY_OF.get(method)
  if (capability === undefined || 'task' in params) return undefined
  if (method === 'elicitation/create') return { elicitation: { [params['mode'] === 'url' ? 'url' : 'form']: {} } }
  const needsTools = method === 'sampling/createMessage' && ('tools' in params || 'toolChoice' in params)
  return { [capability]: needsTools ? { tools: {} } : {} }
}

const CAPABILITY_OF = new Map([
  ['elicitation/create', 'elicitation'],
  ['sampling/createMessage', 'sampling'],
  ['roots/list', 'roots'],
])

/** `elicitation: {}` means form only (2025-11-25 client/elicitation). */
function refusalOfElicitation(declared: JsonObject, params: JsonObject) {
  const mode = params['mode'] === 'url' ? 'url' : 'form'
  const isDeclared = isJsonObject(declared[mode]) || (mode === 'form' && !isJsonObject(declared['url']))
  return isDeclared ? undefined : { code: -32602, message: `the client does not support elicitation by ${mode}` }
}

/** True when the caller said that it can be sent to a web page. */
export function mayOpenUrls(capabilities: JsonObject): boolean {
  return isJsonObject(objectAt(capabilities, 'elicitation')['url'])
}
