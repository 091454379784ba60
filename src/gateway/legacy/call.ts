import { isJsonObject, type JsonObject } from '#kernel'
import type { AskRequest, CallMethod, CallOutcome, CallRequest, RpcError } from '#tools'
import { splitParams } from '../bridge/call-params.ts'
import { legacyError } from '../bridge/errors.ts'
import { idempotencyKeyOf } from '../bridge/idempotency.ts'
import { callPort } from '../bridge/port.ts'
import { legacyResult } from '../bridge/results.ts'
import { legacyTask } from '../bridge/tasks.ts'
import { INTERNAL_ERROR } from '../problems.ts'
import { askOne, AskRefused } from './asks.ts'
import { followBegunTask } from './follow-task.ts'
import type { LegacyRequest } from './request.ts'

/** Until a client says which log messages it wants, it gets those a server would send by itself. */
const DEFAULT_LOG_LEVEL = 'info'
const TASKS_KEPT = 100

/** Makes one call for a session-era client; what the server asks on the way is asked on the call's own stream. */
export async function answerCall(request: LegacyRequest, method: CallMethod): Promise<void> {
  const { answer, message } = request
  const outcome = await makeCall(request, method, message.params)
  if (outcome.kind === 'error') return answer.error(message.id, legacyError(outcome.error, method))
  if (outcome.kind === 'complete') return answer.result(message.id, legacyResult(outcome.result.bytes()))
  if (outcome.kind === 'task') {
    const task = legacyTask(outcome.task)
    rememberTask(request, task.taskId)
    answer.result(message.id, [Buffer.from(JSON.stringify({ task }))])
    return await followBegunTask(request, outcome.task)
  }
  throw new Error('a call that could ask its client ended as "input required"')
}

/** One call through the pipeline. When the client could not be asked to open a page, that is the outcome (-32042). */
export async function makeCall(request: LegacyRequest, method: CallMethod, sent: JsonObject): Promise<CallOutcome> {
  let urlRequired: RpcError | undefined
  const outcome = await request.face.tools.call({
    ...callRequest(request, method, sent),
    ask: async (requests, signal) => {
      try {
        return await askAll(request, requests, signal)
      } catch (error) {
        if (error instanceof AskRefused && error.rpc.code === -32042) {
          urlRequired = error.rpc
          request.cancel()
        }
        throw error
      }
    },
    signal: request.signal,
  })
  return urlRequired === undefined ? outcome : { kind: 'error', error: urlRequired }
}

/** Asks all questions of one turn at once, within the time a person may take. */
export async function askAll(
  { face, session, answer }: LegacyRequest,
  requests: Readonly<Record<string, AskRequest>>,
  signal: AbortSignal,
): Promise<Record<string, JsonObject>> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(face.limits.askMs)])
  const say = answer.say.bind(answer)
  const answers = await Promise.all(
    Object.entries(requests).map(
      async ([key, asked]) => [key, await askOne(session, asked, { say, signal: deadline })] as const,
    ),
  )
  return Object.fromEntries(answers)
}

function callRequest(request: LegacyRequest, method: CallMethod, sent: JsonObject): Omit<CallRequest, 'signal'> {
  const { exchange, session, answer } = request
  const { params, progressToken, trace } = splitParams(sent)
  const logLevel = session.logLevel ?? DEFAULT_LOG_LEVEL
  const idempotencyKey = idempotencyKeyOf(exchange.req, sent)
  return {
    admission: exchange.admission,
    face: 'mcp',
    method,
    params: method === 'tasks/update' ? { ...params, inputResponses: sent.inputResponses } : params,
    session,
    port: callPort(answer, { progressToken, logLevel, era: 'legacy' }),
    requestBytes: exchange.body.length,
    wantsProgress: progressToken !== undefined,
    logLevel,
    ...(method === 'tools/call' && isJsonObject(sent.task) ? { task: taskWish(sent.task) } : {}),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    ...(trace === undefined ? {} : { trace }),
  }
}

/** 2025-11-25: `params.task` asks for a task, with the time it should be kept. */
function taskWish({ ttl }: JsonObject): { mode: 'must'; ttlMs?: number } {
  return typeof ttl === 'number' && ttl >= 0 ? { mode: 'must', ttlMs: ttl } : { mode: 'must' }
}

function rememberTask({ session }: LegacyRequest, taskId: unknown): void {
  if (typeof taskId !== 'string') throw new Error(`${INTERNAL_ERROR.message} A task came without an id.`)
  session.taskIds ??= []
  session.taskIds.push(taskId)
  if (session.taskIds.length > TASKS_KEPT) session.taskIds.shift()
}
