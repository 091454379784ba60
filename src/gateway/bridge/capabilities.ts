import { isJsonObject, type JsonObject } from '#kernel'
import type { AskRequest } from '#tools'

/** The tasks extension of the modern era; the session era has tasks in its core (2025-11-25, experimental). */
export const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks'
const FIRST_WITH_TASKS = '2025-11-25'

/** A gateway's modern capabilities as a session-era client of this version understands them. */
export function legacyCapabilities(modern: JsonObject, protocolVersion: string): JsonObject {
  const { extensions, ...rest } = modern
  if (!hasTasks(modern) || protocolVersion < FIRST_WITH_TASKS) {
    return extensions === undefined ? rest : { ...rest, extensions }
  }
  return { ...rest, extensions, tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } }
}

/** Of a gateway, or declared by a client. */
export function hasTasks(capabilities: JsonObject): boolean {
  const { extensions } = capabilities
  return isJsonObject(extensions) && isJsonObject(extensions[TASKS_EXTENSION])
}

/** What a client would have had to declare to be asked this; null when it did. */
export function missingCapability(request: AskRequest, declared: JsonObject): JsonObject | null {
  switch (request.method) {
    case 'elicitation/create':
      return missingElicitation(request.params?.mode === 'url' ? 'url' : 'form', declared.elicitation)
    case 'sampling/createMessage':
      return isJsonObject(declared.sampling) ? null : { sampling: {} }
    case 'roots/list':
      return isJsonObject(declared.roots) ? null : { roots: {} }
    default:
      return null
  }
}

/** 2025-11-25: a bare `elicitation: {}` means forms. */
function missingElicitation(mode: 'form' | 'url', declared: JsonObject[string]): JsonObject | null {
  if (isJsonObject(declared)) {
    if (isJsonObject(declared[mode])) return null
    if (mode === 'form' && declared.url === undefined) return null
  }
  return { elicitation: { [mode]: {} } }
}

/** Whoever asks for one prompt or resource is answered by the pipeline, which leaves a record of the attempt. */
const GATES: ReadonlyMap<string, string> = new Map([
  ['prompts/list', 'prompts'],
  ['resources/list', 'resources'],
  ['resources/templates/list', 'resources'],
  ['resources/subscribe', 'resources'],
  ['resources/unsubscribe', 'resources'],
  ['completion/complete', 'completions'],
  ['logging/setLevel', 'logging'],
])

/** True when the gateway offers what the method belongs to. Tools are always offered. */
export function offersMethod(capabilities: JsonObject, method: string): boolean {
  if (method.startsWith('tasks/')) return hasTasks(capabilities)
  const gate = GATES.get(method)
  return gate === undefined || isJsonObject(capabilities[gate])
}
