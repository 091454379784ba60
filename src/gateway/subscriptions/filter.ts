import { isJsonObject, Problem, type JsonObject } from '#kernel'
import type { ListChange } from '#tools'
import { hasTasks } from '../bridge/capabilities.ts'
import { INVALID_PARAMS } from '../problems.ts'

/** What one `subscriptions/listen` wants to hear of. */
export type Filter = {
  readonly lists: ReadonlySet<ListChange>
  readonly uris: readonly string[]
  readonly taskIds: readonly string[]
}

const MAX_URIS = 256
/** Each is looked at from time to time. */
const MAX_TASKS = 32
const LIST_FIELDS = {
  tools: 'toolsListChanged',
  prompts: 'promptsListChanged',
  resources: 'resourcesListChanged',
} as const

export function readFilter(filter: unknown): Filter {
  if (!isJsonObject(filter)) throw new Problem(INVALID_PARAMS, '"params.notifications" must say what to listen for.')
  const uris = filter.resourceSubscriptions ?? []
  if (!Array.isArray(uris) || uris.length > MAX_URIS) {
    throw new Problem(INVALID_PARAMS, `"resourceSubscriptions" must be an array of at most ${MAX_URIS} URIs.`)
  }
  const lists = (['tools', 'prompts', 'resources'] as const).filter((list) => filter[LIST_FIELDS[list]] === true)
  return { lists: new Set<ListChange>(lists), uris: [...new Set(uris.map(readUri))], taskIds: readTaskIds(filter) }
}

/** Of the tasks extension (SEP-2663). */
function readTaskIds({ taskIds = [] }: JsonObject): string[] {
  if (!Array.isArray(taskIds) || taskIds.length > MAX_TASKS) {
    throw new Problem(INVALID_PARAMS, `"taskIds" must be an array of at most ${MAX_TASKS} ids.`)
  }
  return [...new Set(taskIds.map(readTaskId))]
}

function readTaskId(id: unknown): string {
  if (typeof id === 'string' && id.length > 0 && id.length <= 4096) return id
  throw new Problem(INVALID_PARAMS, 'Every entry of "taskIds" must be a string of 1–4096 characters.')
}

function readUri(uri: unknown): string {
  if (typeof uri === 'string' && uri.length > 0 && uri.length <= 8192) return uri
  throw new Problem(INVALID_PARAMS, 'Every entry of "resourceSubscriptions" must be a URI of at most 8192 characters.')
}

/** The part of the wish that this gateway can honour. */
export function honourable(asked: Filter, capabilities: JsonObject): Filter {
  const lists = [...asked.lists].filter((list) => isTrue(capabilities[list], 'listChanged'))
  return {
    lists: new Set(lists),
    uris: isTrue(capabilities.resources, 'subscribe') ? asked.uris : [],
    taskIds: hasTasks(capabilities) ? asked.taskIds : [],
  }
}

function isTrue(capability: JsonObject[string], member: string): boolean {
  return isJsonObject(capability) && capability[member] === true
}

/** The filter as the acknowledgement shows it. */
export function describeFilter(filter: Filter): JsonObject {
  const lists = [...filter.lists].map((list) => [LIST_FIELDS[list], true])
  const uris = filter.uris.length === 0 ? {} : { resourceSubscriptions: filter.uris }
  const taskIds = filter.taskIds.length === 0 ? {} : { taskIds: filter.taskIds }
  return { ...Object.fromEntries(lists), ...uris, ...taskIds }
}
