/**
 * Following one task of a caller. A server only says that a task changed; what it is now is asked with a `tasks/get` of
 * the caller's own, on the one path of every call. So they are told what they would be answered, for as long as they
 * may ask, and every look is in the trail.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Member } from '#identity'
import { Problem, type JsonObject } from '#kernel'
import type { CallDeps } from '../call/deps.ts'
import { screenSession } from '../call/screened-caller.ts'
import { openTaskId } from '../call/task-id.ts'
import type { House } from '../house.ts'
import { NOT_ALLOWED } from '../problems.ts'
import type { CallerPort } from '../source.ts'
import type { CallOutcome, CallRequest, Tools } from '../tools.ts'
import { identityOfCaller, type SignIdentity } from './identity-token.ts'
import { renewed } from './principal.ts'

type Deps = Pick<CallDeps, 'content' | 'seal'> & {
  readonly house: Pick<House, 'server'>
  readonly signIdentity: SignIdentity
  readonly findMember: (userId: string) => Member | null
  readonly callNow: (request: CallRequest) => Promise<CallOutcome>
}
type Wanted = Parameters<Tools['followTask']>[0]

const LOOK_MS = { least: 200, usual: 1_000, most: 30_000 }
const ENDED: ReadonlySet<unknown> = new Set(['completed', 'failed', 'cancelled'])
const INVALID_PARAMS = -32602

/** The returned function ends it, as the end of the task does. Throws `NOT_ALLOWED` where the caller has no such task. */
export async function followTask(deps: Deps, wanted: Wanted): Promise<() => Promise<void>> {
  const follower = new Follower(deps, wanted)
  if (wanted.known === undefined && (await follower.look()) !== 'told') {
    throw new Problem(NOT_ALLOWED, 'There is no such task.')
  }
  void follower.run()
  return async () => follower.stop()
}

type Looked = 'told' | 'gone' | 'not now'

class Follower {
  readonly #deps: Deps
  readonly #wanted: Wanted
  readonly #stopped = new AbortController()
  #told: string
  #isOver = false
  #pollMs = LOOK_MS.usual
  #failures = 0
  #hint = Promise.withResolvers<void>()

  constructor(deps: Deps, wanted: Wanted) {
    this.#deps = deps
    this.#wanted = wanted
    this.#told = wanted.known === undefined ? '' : shapeOf(wanted.known)
  }

  async run(): Promise<void> {
    if (this.#isOver) return
    const unhear = this.#hear().catch(() => undefined)
    try {
      while (await this.#isTimeToLook()) if ((await this.look()) === 'gone' || this.#isOver) return
    } finally {
      this.stop()
      await (
        await unhear
      )?.()
    }
  }

  stop(): void {
    this.#stopped.abort()
  }

  async look(): Promise<Looked> {
    const outcome = await this.#deps.callNow(this.#request()).catch(() => null)
    if (outcome === null || this.#stopped.signal.aborted) return 'gone'
    if (outcome.kind !== 'complete') {
      this.#failures += 1
      return outcome.kind === 'error' && outcome.error.code === INVALID_PARAMS ? 'gone' : 'not now'
    }
    this.#failures = 0
    const { resultType: _resultType, _meta, ...task } = outcome.result.value()
    this.#tell(task)
    return 'told'
  }

  #tell(task: JsonObject): void {
    this.#isOver = ENDED.has(task['status'])
    const { pollIntervalMs } = task
    if (typeof pollIntervalMs === 'number') this.#pollMs = Math.max(LOOK_MS.usual, pollIntervalMs)
    const shape = shapeOf(task)
    if (shape === this.#told) return
    this.#told = shape
    this.#wanted.onTask(task)
  }

  #request(): CallRequest {
    const { admission, session, taskId } = this.#wanted
    return {
      admission: renewed(admission, this.#deps.findMember),
      face: 'mcp',
      method: 'tasks/get',
      params: { taskId },
      session,
      port: NOBODY,
      wantsProgress: false,
      signal: this.#stopped.signal,
    }
  }

  /** Hears from the server, where it tells; a change between the beginning of the task and now is looked for. */
  async #hear(): Promise<(() => Promise<void>) | undefined> {
    const { content, house, seal, signIdentity } = this.#deps
    const { admission, session } = this.#wanted
    const { principal, gateway, userId } = admission
    const task = openTaskId(seal, this.#wanted.taskId, this.#request())
    const server = task === null || task.isHeld ? undefined : house.server(task.server)
    if (task === null || server?.source.followTask === undefined) return undefined
    const { name, tags } = server.config
    const subject = { gateway, server: { name, tags }, thing: null, user: { userId, groups: principal.groups } }
    const identity = identityOfCaller(signIdentity, server.config, { principal, gateway })
    const onChanged = (): void => this.#hint.resolve()
    const release = await server.source.followTask({
      session: screenSession(content, subject, session),
      taskId: task.id,
      ...(identity === undefined ? {} : { identity }),
      onChanged,
    })
    onChanged()
    return release
  }

  /** False when it is followed no more. */
  async #isTimeToLook(): Promise<boolean> {
    const { signal } = this.#stopped
    const isPolled = this.#wanted.known === undefined
    const stopped = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    try {
      const polled = isPolled ? delay(this.#pauseMs(), undefined, { signal, ref: false }) : stopped
      await Promise.race([this.#hint.promise, polled, stopped])
      await delay(LOOK_MS.least, undefined, { signal, ref: false })
    } catch {
      return false
    }
    this.#hint = Promise.withResolvers<void>()
    return true
  }

  #pauseMs(): number {
    return Math.min(LOOK_MS.most, this.#pollMs * 2 ** Math.min(this.#failures, 5))
  }
}

/** What has to be told when it changes: not that it was looked at. */
function shapeOf({ lastUpdatedAt: _at, ttlMs: _ttl, pollIntervalMs: _poll, ...task }: JsonObject): string {
  return JSON.stringify(task)
}

/** Progress and log messages do not belong to tasks (ext-tasks 2026-07-28). */
const NOBODY: CallerPort = { progress: () => {}, message: () => {}, notify: () => {} }
