import type { JsonObject } from '#kernel'
import { Payload } from '../../../payload.ts'
import type { Reply, SourceCall } from '../../../source.ts'
import { objectAt, stringAt } from '../json.ts'
import type { LinkResponse } from '../link.ts'
import type { Conversation } from './conversation.ts'
import type { LiveCall } from './live-call.ts'
import { PARKED_MS } from './parking.ts'
import { endedTask, toModernTask } from './tasks.ts'

/** How long `tasks/get` waits for a question that the server says it has. */
const QUESTION_MS = 2_000
const MAX_WATCHED = 1_000
const ENDED = new Set(['completed', 'failed'])

/**
 * `tasks/get|update|cancel` for tasks that a session-era server runs. Such a server puts its questions on the stream of
 * `tasks/result`, so for a task that waits for input one such request is kept open until the task is over.
 */
export class TaskDesk {
  readonly #watched = new WeakMap<Conversation, Map<string, LiveCall>>()

  async serve(conversation: Conversation, call: SourceCall): Promise<Reply> {
    const taskId = stringAt(call.params, 'taskId') ?? ''
    if (call.method === 'tasks/cancel') return this.#cancel(conversation, call, taskId)
    if (call.method === 'tasks/get') return this.#get(conversation, call, taskId)
    this.#watchedIn(conversation).get(taskId)?.answer(objectAt(call.params, 'inputResponses'))
    return complete({})
  }

  async #get(conversation: Conversation, call: SourceCall, taskId: string): Promise<Reply> {
    const response = await this.#ask(conversation, call, 'tasks/get')
    if ('error' in response) return { kind: 'error', error: response.error }
    const task = response.result.value()
    const status = stringAt(task, 'status') ?? ''
    if (ENDED.has(status)) {
      this.#watchedIn(conversation).delete(taskId)
      return complete(endedTask(task, await this.#ask(conversation, call, 'tasks/result')))
    }
    if (status !== 'input_required') return complete(toModernTask(task))
    const live = await this.#watch(conversation, call, taskId)
    await live.question(QUESTION_MS)
    const inputRequests = live.questions()
    // JSON by construction: the questions came from the wire.
    return complete({ ...toModernTask(task), inputRequests: JSON.parse(JSON.stringify(inputRequests)) })
  }

  async #cancel(conversation: Conversation, call: SourceCall, taskId: string): Promise<Reply> {
    this.#watchedIn(conversation).delete(taskId)
    const response = await this.#ask(conversation, call, 'tasks/cancel')
    return 'error' in response ? { kind: 'error', error: response.error } : complete({})
  }

  #ask(conversation: Conversation, call: SourceCall, method: string): Promise<LinkResponse> {
    const params = { taskId: call.params['taskId'] }
    return conversation.ask(call, { method, params })
  }

  async #watch(conversation: Conversation, call: SourceCall, taskId: string): Promise<LiveCall> {
    const watched = this.#watchedIn(conversation)
    const known = watched.get(taskId)
    if (known?.isOver === false) return known
    const [oldest] = watched
    if (watched.size >= MAX_WATCHED && oldest !== undefined) {
      watched.delete(oldest[0])
      oldest[1].abort(new Error('too many tasks wait for input'))
    }
    const live = conversation.watchTask(call, taskId)
    watched.set(taskId, live)
    setTimeout(() => live.abort(new Error('nobody came for the task')), PARKED_MS).unref()
    return live
  }

  #watchedIn(conversation: Conversation): Map<string, LiveCall> {
    const watched = this.#watched.get(conversation) ?? new Map<string, LiveCall>()
    this.#watched.set(conversation, watched)
    return watched
  }
}

function complete(result: JsonObject): Reply {
  return { kind: 'complete', isError: false, result: Payload.ofValue({ resultType: 'complete', ...result }) }
}
