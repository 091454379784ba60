import type { ZodType } from 'zod'
import { Problem, type Json, type JsonObject } from '#kernel'
import type { Log, Metrics } from '#telemetry'
import { Resting, Unread, whyNot, type Hook } from './hook.ts'
import { HOOK_DENIED, HOOK_FAILED, HOOK_RATE_LIMITED } from './problems.ts'
import type { HookPoint } from './schema.ts'
import type { HookedTool } from './scope.ts'
import { postAnswer, preAnswer, type ContextOnWire, type PostRequest, type PreRequest } from './wire.ts'

export type ChainDeps = { readonly log: Pick<Log, 'warn'>; readonly metrics: Pick<Metrics, 'hook'> }

/** A call as hooks hear of it. */
export type HookedCall = {
  readonly executionId: string
  readonly tool: HookedTool
  /** As the server would get them, with the caller's tokens unopened. */
  readonly inputs: JsonObject
  readonly context: ContextOnWire
  readonly signal: AbortSignal
  /** Nobody makes the call; somebody wants to know what hooks would say. */
  readonly isQuestion?: boolean
  /** Told of every hook that was asked. */
  note(asked: AskedHook): void
}

export type AskedHook = { readonly hook: string; readonly point: HookPoint; readonly outcome: HookOutcome }
/** `resting`: it should have been asked, but has failed too often. */
export type HookOutcome = 'agreed' | 'changed' | 'denied' | 'failed' | 'resting'

/** Asks each hook in its turn with what the one before made of the arguments. The first no is thrown. */
export async function askBefore(deps: ChainDeps, hooks: readonly Hook[], call: HookedCall): Promise<JsonObject> {
  let { inputs } = call
  for (const hook of hooks) {
    const body: PreRequest = { ...frameOf(call), inputs }
    const turn: Turn = { hook, point: 'pre', call, startedAt: performance.now() }
    const answer = await answerOf(deps, turn, { body, as: preAnswer })
    if (answer === null) continue
    const changed = answer.override?.inputs
    settle(deps, turn, answer, changed !== undefined)
    inputs = changed ?? inputs
  }
  return inputs
}

export type Answered = { readonly output: Json; readonly isError: boolean; readonly errorText: string }

/** The same for what the tool answered. */
export async function askAfter(
  deps: ChainDeps,
  hooks: readonly Hook[],
  call: HookedCall & { readonly answered: Answered },
): Promise<Json> {
  const { isError, errorText } = call.answered
  let { output } = call.answered
  for (const hook of hooks) {
    const code = isError ? 'TOOL_RUNTIME_FATAL' : 'OK'
    const end = { success: !isError, output, execution_code: code, execution_error: errorText }
    const body: PostRequest = { ...frameOf(call), inputs: call.inputs, ...end }
    const turn: Turn = { hook, point: 'post', call, startedAt: performance.now() }
    const answer = await answerOf(deps, turn, { body, as: postAnswer })
    if (answer === null) continue
    const changed = answer.override?.output
    settle(deps, turn, answer, changed !== undefined)
    output = changed ?? output
  }
  return output
}

function frameOf({ executionId, tool, context }: HookedCall) {
  return {
    execution_id: executionId,
    tool: { name: tool.name, toolkit: tool.server, version: '', metadata: { gateway: tool.gateway, tags: tool.tags } },
    context,
  }
}

type Turn = {
  readonly hook: Hook
  readonly point: 'pre' | 'post'
  readonly call: HookedCall
  readonly startedAt: number
}
type Verdict = { readonly code: string; readonly error_message?: string | null | undefined }

/** Null when the hook could not be asked and need not be. */
async function answerOf<Answer>(
  deps: ChainDeps,
  turn: Turn,
  asked: { readonly body: object; readonly as: ZodType<Answer> },
): Promise<Answer | null> {
  const { hook, point, call } = turn
  const { signal, isQuestion } = call
  try {
    return await hook.ask({ ...asked, point, signal, isQuestion })
  } catch (error) {
    // The caller has gone; nobody failed.
    if (signal.aborted) throw error
    note(deps, turn, error instanceof Resting ? 'resting' : 'failed')
    const { name, failure } = hook.config
    const reason = whyNot(error)
    deps.log.warn({ hook: name, point, reason, failure }, 'a hook could not be asked')
    if (failure === 'open' && !(error instanceof Unread)) return null
    throw hookFailed(name, point, reason, error)
  }
}

/** What is told of a hook that had to agree and could not be asked. */
function hookFailed(hook: string, point: HookPoint, reason: string, cause?: unknown): Problem {
  const what = point === 'post' ? 'The tool has answered, but its answer is withheld' : 'This did not go to the server'
  const detail = `${what}: the hook "${hook}" has to agree, and ${reason}. Try again in a moment; if it stays, tell the operator.`
  return new Problem(HOOK_FAILED, detail, { hook, kind: 'CONTEXT_CHECK_FAILED', cause })
}

function settle(deps: ChainDeps, turn: Turn, { code, error_message: message }: Verdict, isChanged: boolean): void {
  if (code === 'OK') return note(deps, turn, isChanged ? 'changed' : 'agreed')
  note(deps, turn, 'denied')
  const hook = turn.hook.config.name
  const said = message ? `: ${message.slice(0, 1_000)}` : ', and gave no reason'
  const subject = turn.point === 'post' ? 'the answer of this call' : 'this call'
  if (code === 'RATE_LIMIT_EXCEEDED')
    throw new Problem(HOOK_RATE_LIMITED, `The hook "${hook}" counts too many calls${said}`, { hook, kind: code })
  throw new Problem(HOOK_DENIED, `The hook "${hook}" refused ${subject}${said}`, { hook, kind: 'CONTEXT_DENIED' })
}

function note({ metrics }: ChainDeps, { hook, point, call, startedAt }: Turn, outcome: HookOutcome): void {
  metrics.hook({ hook: hook.config.name, point, outcome, seconds: (performance.now() - startedAt) / 1_000 })
  call.note({ hook: hook.config.name, point, outcome })
}
