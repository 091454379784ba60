import { isJsonObject, type JsonObject } from '#kernel'
import type { Definition, SourceCall } from '../../../source.ts'
import { objectAt, stringAt } from '../json.ts'
import type { LinkResponse } from '../link.ts'
import { brokenReply } from '../reasons.ts'

/** Tasks of 2025-11-25 (basic/utilities/tasks) in the shapes of the tasks extension (SEP-2663). */

export type TaskSupport = 'required' | 'optional' | 'forbidden'

/** Whether calls of this tool may, must or cannot run as tasks; a tool that says nothing cannot. */
export function taskSupportOf(tool: Definition): TaskSupport {
  const support = objectAt(tool, 'execution')['taskSupport']
  return support === 'required' || support === 'optional' ? support : 'forbidden'
}

/** True when this call is made as a task: the tool cannot do otherwise, or it can and its caller can follow one. */
export function runsAsTask(call: SourceCall, support: TaskSupport | undefined, capabilities: JsonObject): boolean {
  if (call.method !== 'tools/call') return false
  const requests = objectAt(objectAt(capabilities, 'tasks'), 'requests')
  if (!isJsonObject(objectAt(requests, 'tools')['call'])) return false
  return support === 'required' || (support === 'optional' && call.task !== undefined)
}

/** `params` of a call that is to run as a task. */
export function asTask(call: SourceCall): JsonObject {
  const ttl = call.task?.ttlMs
  return { ...call.params, task: ttl === undefined ? {} : { ttl } }
}

/** The task in a CreateTaskResult. */
export function createdTask(server: string, response: LinkResponse): JsonObject | undefined {
  if ('error' in response) return undefined
  const { task } = response.result.value()
  if (!isJsonObject(task) || typeof task['taskId'] !== 'string') {
    throw brokenReply(server, 'was asked for a task and answered without one')
  }
  return task
}

const SHARED_FIELDS = ['taskId', 'status', 'statusMessage', 'createdAt', 'lastUpdatedAt'] as const

const LOOK_MS = { least: 1_000, most: 60_000 }

/** How often a task is looked at: as the server wishes, within reason. */
export function lookEveryMs(task: JsonObject): number {
  return Math.min(LOOK_MS.most, Math.max(LOOK_MS.least, Number(task['pollInterval']) || 0))
}

/** A task in the words of the extension; `ttl` and `pollInterval` are milliseconds there too. */
export function toModernTask(task: JsonObject): JsonObject {
  const shared = SHARED_FIELDS.flatMap((field) => (task[field] === undefined ? [] : [[field, task[field]] as const]))
  const { ttl, pollInterval } = task
  return {
    ...Object.fromEntries(shared),
    ttlMs: typeof ttl === 'number' ? ttl : null,
    ...(typeof pollInterval === 'number' && { pollIntervalMs: pollInterval }),
  }
}

/** A task that has ended, with what `tasks/result` said: a result makes it completed, an error makes it failed. */
export function endedTask(task: JsonObject, outcome: LinkResponse): JsonObject {
  const modern = toModernTask(task)
  if (!('error' in outcome)) return { ...modern, status: 'completed', result: outcome.result.value() }
  const { code, message } = outcome.error
  return { ...modern, status: 'failed', error: { code, message } }
}

/** The task that a question or notification of the server belongs to. */
export function relatedTask(params: JsonObject): string | undefined {
  return stringAt(objectAt(objectAt(params, '_meta'), 'io.modelcontextprotocol/related-task'), 'taskId')
}
