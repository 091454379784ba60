import { setTimeout as delay } from 'node:timers/promises'
import { isJsonObject, Problem, type JsonObject } from '#kernel'
import { Payload } from '../../../payload.ts'
import { CANCELLED } from '../../../problems.ts'
import type { CallerPort, Reply, RpcError, SourceCall } from '../../../source.ts'
import { deadline } from '../deadline.ts'
import { objectAt, stringAt } from '../json.ts'
import { brokenReply } from '../reasons.ts'
import { callModern, readRequests, type ModernCalls } from './call.ts'
import { TASKS_EXTENSION } from './envelope.ts'

const MISSING_CAPABILITY = -32021
const POLL_MS = { least: 50, usual: 500, most: 5_000 }
const CANCEL_MS = 10_000
/** Begins the states of calls whose task we follow. */
const FOLLOWED = 'gatehouse-task:'

type Followed = { readonly taskId: string; readonly answered: readonly string[] }
type Following = { readonly calls: ModernCalls; readonly call: SourceCall; readonly port: CallerPort }

/**
 * Makes a call for a caller of the session era that follows no tasks: where the server insists on one, the task is
 * followed here until it ends or asks something. A stateless caller is told what it lacks, as its revision wants it.
 */
export async function callFollowingTasks(calls: ModernCalls, call: SourceCall, port: CallerPort): Promise<Reply> {
  const following = { calls, call, port }
  if (call.state?.startsWith(FOLLOWED) === true) return await bringAnswers(following, readState(call.state))
  const reply = await callModern(calls, call, port)
  if (!insistsOnTask(call, reply)) return reply
  const again = await callModern(calls, { ...call, task: { mode: 'may' } }, port)
  if (again.kind !== 'task') return again
  const taskId = stringAt(again.task, 'taskId')
  if (taskId === undefined) throw brokenReply(calls.server, 'began a task without an id')
  return await follow(following, { taskId, answered: [] })
}

/** Refused for want of the extension alone: nothing was run. */
function insistsOnTask(call: SourceCall, reply: Reply): boolean {
  if (reply.kind !== 'error' || reply.error.code !== MISSING_CAPABILITY || !isJsonObject(reply.error.data)) return false
  const needed = objectAt(objectAt(reply.error.data, 'requiredCapabilities'), 'extensions')
  return call.session.era === 'legacy' && call.task === undefined && TASKS_EXTENSION in needed
}

async function bringAnswers(following: Following, followed: Followed): Promise<Reply> {
  const { inputResponses = {} } = following.call
  const updated = await ask(following, 'tasks/update', { taskId: followed.taskId, inputResponses })
  if (updated.kind !== 'complete') return updated
  return await follow(following, { ...followed, answered: [...followed.answered, ...Object.keys(inputResponses)] })
}

async function follow(following: Following, followed: Followed): Promise<Reply> {
  const { calls, call } = following
  const { taskId, answered } = followed
  for (;;) {
    const found = await ask(following, 'tasks/get', { taskId }).catch(async (error: unknown) => {
      if (call.signal.aborted) await cancel(following, taskId)
      throw error
    })
    if (found.kind !== 'complete') return found
    const task = found.result.value()
    const ended = endOf(task)
    if (ended !== undefined) return ended
    const asked = Object.entries(readRequests(calls.server, objectAt(task, 'inputRequests')))
    const requests = Object.fromEntries(asked.filter(([key]) => !answered.includes(key)))
    if (Object.keys(requests).length > 0) {
      return { kind: 'input', requests, pinned: false, state: FOLLOWED + JSON.stringify(followed) }
    }
    await delay(pauseOf(task), undefined, { signal: call.signal }).catch(async () => {
      await cancel(following, taskId)
      throw new Problem(CANCELLED, `the call to server "${calls.server}" was cancelled`)
    })
  }
}

function endOf(task: JsonObject): Reply | undefined {
  const status: unknown = task['status']
  switch (status) {
    case 'completed': {
      const result = objectAt(task, 'result')
      return { kind: 'complete', result: Payload.ofValue(result), isError: result['isError'] === true }
    }
    case 'failed':
      return { kind: 'error', error: readError(objectAt(task, 'error')) }
    case 'cancelled':
      return { kind: 'error', error: { code: -32603, message: 'The task was cancelled at its server.' } }
    default:
      return undefined
  }
}

function readError({ code, message, data }: JsonObject): RpcError {
  const error = { code: Number(code) || -32603, message: typeof message === 'string' ? message : 'The task failed.' }
  return data === undefined ? error : { ...error, data }
}

function ask({ calls, call, port }: Following, method: 'tasks/get' | 'tasks/update', params: JsonObject) {
  const { inputResponses: _responses, state: _state, ...rest } = call
  return callModern(calls, { ...rest, method, params }, port)
}

/** Nobody waits for it any more. */
async function cancel({ calls, call, port }: Following, taskId: string): Promise<void> {
  const { inputResponses: _responses, state: _state, ...rest } = call
  const signal = deadline(calls.server, CANCEL_MS)
  await callModern(calls, { ...rest, method: 'tasks/cancel', params: { taskId }, signal }, port).catch(() => undefined)
}

function pauseOf({ pollIntervalMs }: JsonObject): number {
  return typeof pollIntervalMs === 'number'
    ? Math.min(POLL_MS.most, Math.max(POLL_MS.least, pollIntervalMs))
    : POLL_MS.usual
}

/** The state was written by `follow`, and the pipeline lets nobody change it. */
function readState(state: string): Followed {
  const value: unknown = JSON.parse(state.slice(FOLLOWED.length))
  const followed = isJsonObject(value) ? value : {}
  const answered = Array.isArray(followed['answered']) ? followed['answered'] : []
  return { taskId: stringAt(followed, 'taskId') ?? '', answered: answered.filter((key) => typeof key === 'string') }
}
