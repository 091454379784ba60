import { setTimeout as sleep } from 'node:timers/promises'
import { isJsonObject, Problem, type JsonObject } from '#kernel'
import type { AskRequest, RpcError } from '#tools'
import { legacyTask, withRelatedTask } from '../bridge/tasks.ts'
import { INVALID_PARAMS } from '../problems.ts'
import { askAll, makeCall } from './call.ts'
import { reply, type LegacyRequest } from './request.ts'

/** Tasks of the session era (2025-11-25 utilities/tasks) on top of the extension that the house speaks inside. */

const POLL_MS = { least: 100, usual: 1000, most: 5000 }

export async function getTask(request: LegacyRequest): Promise<void> {
  const task = await fetchTask(request, taskIdOf(request))
  answerWith(request, task, legacyTask)
}

/** The tasks of this session that still exist. */
export async function listTasks(request: LegacyRequest): Promise<void> {
  const found = await Promise.all(
    (request.session.taskIds ?? []).map(async (taskId) => await fetchTask(request, taskId)),
  )
  const tasks = found.filter((task) => task.kind === 'task').map((task) => legacyTask(task.task))
  reply(request, { tasks })
}

export async function cancelTask(request: LegacyRequest): Promise<void> {
  const taskId = taskIdOf(request)
  const outcome = await makeCall(request, 'tasks/cancel', { taskId })
  if (outcome.kind === 'error') return request.answer.error(request.message.id, outcome.error)
  answerWith(request, await fetchTask(request, taskId), (task) => ({ ...legacyTask(task), status: 'cancelled' }))
}

/** Waits until the task is done. What it asks meanwhile is asked on this request's stream. */
export async function taskResult(request: LegacyRequest): Promise<void> {
  const { answer, message, signal } = request
  const taskId = taskIdOf(request)
  for (;;) {
    const found = await fetchTask(request, taskId)
    if (found.kind === 'error') return answer.error(message.id, found.error)
    const { status, result, error, inputRequests, pollIntervalMs } = found.task
    if (status === 'completed') return reply(request, withRelatedTask(isJsonObject(result) ? result : {}, taskId))
    if (status === 'failed') return answer.error(message.id, readError(error))
    if (status === 'cancelled') return answer.error(message.id, { code: -32603, message: 'The task was cancelled.' })
    if (status === 'input_required') await bringAnswers(request, taskId, readRequests(inputRequests))
    await sleep(pollMs(pollIntervalMs), undefined, { signal })
  }
}

async function bringAnswers(request: LegacyRequest, taskId: string, asked: Record<string, AskRequest>): Promise<void> {
  if (Object.keys(asked).length === 0) return
  const inputResponses = await askAll(request, asked, request.signal)
  const outcome = await makeCall(request, 'tasks/update', { taskId, inputResponses })
  if (outcome.kind === 'error') throw new Problem(INVALID_PARAMS, outcome.error.message)
}

type Found = { readonly kind: 'task'; readonly task: JsonObject } | { readonly kind: 'error'; readonly error: RpcError }

async function fetchTask(request: LegacyRequest, taskId: string): Promise<Found> {
  const outcome = await makeCall(request, 'tasks/get', { taskId })
  if (outcome.kind === 'error') return outcome
  if (outcome.kind === 'complete') return { kind: 'task', task: outcome.result.value() }
  throw new Error(`"tasks/get" ended as "${outcome.kind}"`)
}

function answerWith({ answer, message }: LegacyRequest, found: Found, show: (task: JsonObject) => JsonObject): void {
  if (found.kind === 'error') return answer.error(message.id, found.error)
  answer.result(message.id, [Buffer.from(JSON.stringify(show(found.task)))])
}

function taskIdOf({ message }: LegacyRequest): string {
  const { taskId } = message.params
  if (typeof taskId === 'string' && taskId.length > 0 && taskId.length <= 4096) return taskId
  throw new Problem(INVALID_PARAMS, '"params.taskId" must be a string of 1–4096 characters.')
}

function pollMs(wish: unknown): number {
  return typeof wish === 'number' ? Math.min(POLL_MS.most, Math.max(POLL_MS.least, wish)) : POLL_MS.usual
}

function readError(error: unknown): RpcError {
  if (isJsonObject(error) && typeof error.code === 'number' && typeof error.message === 'string') {
    return { code: error.code, message: error.message, ...(error.data === undefined ? {} : { data: error.data }) }
  }
  return { code: -32603, message: 'The task failed without saying why.' }
}

function readRequests(requests: unknown): Record<string, AskRequest> {
  const asked: Record<string, AskRequest> = {}
  for (const [key, request] of Object.entries(isJsonObject(requests) ? requests : {})) {
    if (!isJsonObject(request) || typeof request.method !== 'string') continue
    asked[key] = { method: request.method, ...(isJsonObject(request.params) ? { params: request.params } : {}) }
  }
  return asked
}
