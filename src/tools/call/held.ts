import type { ShownApproval, Ticket } from '#approvals'
import { isJsonObject, type JsonObject } from '#kernel'
import { createHeldStore, type HeldRow, type HeldStore } from './held-store.ts'
import { Payload } from '../payload.ts'
import type { CallerPort } from '../source.ts'
import type { CallOutcome, CallRequest } from '../tools.ts'
import { answerAsCaller, readSaid, takesForms } from './approval-question.ts'
import type { Attempt, Target } from './attempt.ts'
import type { Place } from './content.ts'
import type { CallDeps } from './deps.ts'
import type { Ending } from './ending.ts'
import * as tasks from './held-task.ts'
import { unknownTo } from './refused.ts'
import { resolve } from './resolve.ts'
import { fromStored, toStored } from './stored-ending.ts'
import { sealHeldId } from './task-id.ts'

type HeldDeps = Pick<
  CallDeps,
  'approvals' | 'seal' | 'clock' | 'log' | 'db' | 'replicaId' | 'isReplicaAlive' | 'lookup'
> & {
  /** The whole path of a call. */
  readonly call: (request: CallRequest) => Promise<CallOutcome>
}

const PURPOSE = 'held-request'
/** Beyond the end of its approval. */
const KEPT_MS = 24 * 60 * 60_000

/**
 * Calls that wait for an approval while their callers look after them as a task. What was asked lies sealed in the
 * database, so a task outlives this process and may be looked after at any replica. An approved call is made when its
 * caller next looks: by then it goes the whole path of a call anew, as whoever looks, so that what was taken from them
 * meanwhile holds. It runs once: whoever changes its row from `waiting` makes it.
 */
export class HeldCalls {
  readonly #deps: HeldDeps
  readonly #store: HeldStore
  readonly #running = new Map<string, AbortController>()

  constructor(deps: HeldDeps) {
    this.#deps = deps
    this.#store = createHeldStore(deps.db)
  }

  /** Keeps a call and answers with its task. The same call is the same task, as its approval is the same. */
  async hold({ attempt, target }: Place, approval: Ticket['approval']): Promise<Ending> {
    const { seal, clock } = this.#deps
    const { params, paramHeaders, task } = attempt.request
    const { id, rule } = approval
    const kept = { id, mode: task?.mode ?? 'may', params, ...(paramHeaders === undefined ? {} : { paramHeaders }) }
    const times = { created_at: clock.now(), expires_at: approval.expiresAt + KEPT_MS }
    await this.#store.hold({ id, request: seal.seal(PURPOSE, kept), ...times })
    const taskId = sealHeldId(seal, attempt, target, id)
    const shown = tasks.waiting({ ...times, updated_at: times.created_at }, approval)
    const reason = `it waits for approval ${id}, as a task`
    return { outcome: { kind: 'task', task: { taskId, ...shown } }, decision: 'denied', rule, reason, responseBytes: 0 }
  }

  /** Answers `tasks/get|update|cancel`; or, where the server has made the call a task of its own, says where that is. */
  async answer(at: Place): Promise<Ending | Target> {
    const { attempt, target } = at
    const row = await this.#store.find(target.original)
    if (row === undefined || row.expires_at < this.#deps.clock.now()) throw unknownTo(attempt.request)
    const outcome = this.#outcomeOf(row)
    if (row.state === 'done' && outcome?.kind === 'task') return this.#atServer(attempt, outcome.task)
    const { method, params } = attempt.request
    if (method === 'tasks/get') {
      return ended({ taskId: params['taskId'] ?? '', ...(await this.#look(attempt, row, outcome)) })
    }
    await (method === 'tasks/cancel' ? this.#cancel(row) : this.#update(attempt, row, outcome))
    return ended({})
  }

  /** Ends what runs here: this process stops. */
  close(): void {
    for (const stop of this.#running.values()) stop.abort()
  }

  async #look(attempt: Attempt, row: HeldRow, outcome: CallOutcome | null): Promise<JsonObject> {
    switch (row.state) {
      case 'waiting':
        return this.#lookAtApproval(attempt, row, await this.#deps.approvals.look(row.id))
      case 'running':
        return (await this.#isLost(row)) ? tasks.lost(row) : tasks.running(row)
      case 'asking':
        return outcome?.kind === 'input' ? tasks.asking(row, outcome.requests) : tasks.lost(row)
      case 'done':
        return tasks.done(row, outcome)
      case 'cancelled':
        return tasks.cancelled(row)
    }
  }

  async #lookAtApproval(attempt: Attempt, row: HeldRow, approval: ShownApproval): Promise<JsonObject> {
    switch (approval.state) {
      case 'pending':
        return this.#mayAsk(attempt) ? tasks.asksApproval(row, approval) : tasks.waiting(row, approval)
      case 'approved':
        await this.#start(attempt, row, {})
        return tasks.running(row)
      case 'denied':
      case 'expired':
      case 'used':
        return tasks.refused(row, approval)
    }
  }

  #mayAsk(attempt: Attempt): boolean {
    return this.#deps.approvals.config.who === 'caller' && takesForms(attempt)
  }

  /** Answers to our question, or to what the server asks in the middle of the call. */
  async #update(attempt: Attempt, row: HeldRow, outcome: CallOutcome | null): Promise<void> {
    const sent = attempt.request.params['inputResponses']
    const inputResponses = isJsonObject(sent) ? sent : {}
    if (row.state === 'asking' && outcome?.kind === 'input') {
      return this.#start(attempt, row, { inputResponses, requestState: outcome.requestState })
    }
    const said = row.state === 'waiting' && this.#mayAsk(attempt) ? readSaid(inputResponses) : null
    if (said === null) return
    if (said !== 'put-away') return answerAsCaller(this.#deps, attempt, { id: row.id, said })
    const closed = tasks.closedQuestion(attempt.request.admission.userId, row.id)
    await this.#end(row, 'waiting', { kind: 'error', error: closed })
  }

  async #cancel(row: HeldRow): Promise<void> {
    if (row.state === 'done') return
    await this.#store.change(row.id, row.state, { state: 'cancelled', updated_at: this.#deps.clock.now() })
    this.#running.get(row.id)?.abort()
  }

  /** Whoever changes the row makes the call, beside the request that looked. */
  async #start(attempt: Attempt, row: HeldRow, retry: Retry): Promise<void> {
    const { id, state } = row
    if (this.#running.has(id)) return
    const { clock, replicaId, log } = this.#deps
    const stop = new AbortController()
    this.#running.set(id, stop)
    const to = { state: 'running', replica: replicaId, outcome: null, updated_at: clock.now() } as const
    const isOurs = await this.#store.change(id, state, to).catch((error: unknown) => {
      this.#running.delete(id)
      throw error
    })
    if (!isOurs) return void this.#running.delete(id)
    // A row that still says "running" when nothing runs reads as lost.
    void this.#make(attempt, row, { retry, signal: stop.signal })
      .catch((error: unknown) => log.error({ err: error, approval: id }, 'the end of a held call could not be kept'))
      .finally(() => this.#running.delete(id))
  }

  async #make(attempt: Attempt, row: HeldRow, { retry, signal }: { retry: Retry; signal: AbortSignal }): Promise<void> {
    const { admission, face, session } = attempt.request
    const request = { admission, face, session, method: 'tools/call', port: NOBODY, wantsProgress: false } as const
    const outcome = await this.#deps.call({ ...request, ...this.#kept(row), ...retry, signal })
    await this.#end(row, 'running', outcome)
  }

  #kept(row: HeldRow): Pick<CallRequest, 'params' | 'paramHeaders' | 'task'> {
    const opened = this.#deps.seal.open(PURPOSE, row.request)
    const { id, mode, params, paramHeaders } = opened ?? {}
    if (id !== row.id || !isJsonObject(params)) throw new Error(`the held call ${row.id} cannot be read`)
    const headers = Object.entries(isJsonObject(paramHeaders) ? paramHeaders : {}).flatMap(([name, value]) =>
      typeof value === 'string' ? [[name, value] as const] : [],
    )
    return {
      params,
      task: { mode: mode === 'must' ? 'must' : 'may', isHeld: true },
      ...(headers.length === 0 ? {} : { paramHeaders: Object.fromEntries(headers) }),
    }
  }

  async #end(row: HeldRow, from: 'waiting' | 'running', outcome: CallOutcome): Promise<void> {
    const { seal, clock } = this.#deps
    const stored = toStored(seal, { outcome, decision: 'allowed', reason: '', responseBytes: 0 })
    const state = outcome.kind === 'input' ? ('asking' as const) : ('done' as const)
    await this.#store.change(row.id, from, { state, outcome: stored, updated_at: clock.now() })
  }

  #outcomeOf({ outcome }: HeldRow): CallOutcome | null {
    return outcome === null ? null : (fromStored(this.#deps.seal, outcome)?.outcome ?? null)
  }

  async #isLost({ id, replica, updated_at: since }: HeldRow): Promise<boolean> {
    const { replicaId, isReplicaAlive } = this.#deps
    if (replica === replicaId || replica === null) return !this.#running.has(id)
    return !(await isReplicaAlive(replica, since))
  }

  #atServer(attempt: Attempt, { taskId }: JsonObject): Target {
    const { request } = attempt
    const params = { ...request.params, taskId: taskId ?? '' }
    return resolve(this.#deps.lookup(request), { ...request, params })
  }
}

type Retry = Pick<CallRequest, 'inputResponses' | 'requestState'>

/** Whoever looks after a task hears no notifications of the call. */
const NOBODY: CallerPort = { progress: () => {}, message: () => {}, notify: () => {} }

function ended(result: JsonObject): Ending {
  const value = { resultType: 'complete', ...result }
  const outcome = { kind: 'complete', result: Payload.ofValue(value) } as const
  return { outcome, decision: 'allowed', reason: 'the call waits here', responseBytes: outcome.result.bytes().length }
}
