import { isJsonObject, type JsonObject } from '#kernel'

/** A task of the modern extension (SEP-2663) as 2025-11-25 shows it: other names for the times, no results inline. */
export function legacyTask(modern: JsonObject): JsonObject {
  const { taskId, status, statusMessage, createdAt, lastUpdatedAt, ttlMs, pollIntervalMs } = modern
  return {
    taskId,
    status,
    ...(statusMessage === undefined ? {} : { statusMessage }),
    createdAt,
    lastUpdatedAt,
    ttl: ttlMs ?? null,
    ...(pollIntervalMs === undefined ? {} : { pollInterval: pollIntervalMs }),
  }
}

const RELATED_TASK = 'io.modelcontextprotocol/related-task'

/** The task's own result with the mark that 2025-11-25 wants on it. */
export function withRelatedTask(result: JsonObject, taskId: string): JsonObject {
  const { resultType: _resultType, _meta, ...rest } = result
  const meta = isJsonObject(_meta) ? _meta : {}
  return { ...rest, _meta: { ...meta, [RELATED_TASK]: { taskId } } }
}
