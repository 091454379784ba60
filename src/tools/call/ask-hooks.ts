import { validatorFor } from '#content'
import { isJsonObject, newId, Problem, type Json, type JsonObject } from '#kernel'
import { HOOK_FAILED, type HookedCall } from '#policy'
import { Payload } from '../payload.ts'
import type { Reply } from '../source.ts'
import type { Attempt, Target } from './attempt.ts'
import { schemaOf, screenOverridden, screenReply, type Place } from './content.ts'
import type { CallDeps } from './deps.ts'

type HookingDeps = Pick<CallDeps, 'hooks' | 'content' | 'metrics'>

/**
 * The parameters as the operator's hooks let them through. They see what the content rules have passed, with pinned and
 * default arguments; what one of them changes is checked like what a caller sends, and pinned arguments stay.
 */
export function askHooksBefore(deps: HookingDeps, at: Place, params: JsonObject): JsonObject | Promise<JsonObject> {
  const { attempt, target } = at
  if (attempt.request.method !== 'tools/call' || !deps.hooks.concern('pre', toolOf(attempt, target))) return params
  return before(deps, at, params)
}

async function before(deps: HookingDeps, at: Place, params: JsonObject): Promise<JsonObject> {
  const { attempt, target } = at
  const call = hookedCall(at)
  const inputs = await deps.hooks.before(call)
  if (inputs === call.inputs) return params
  const changed = { ...attempt.passed, arguments: { ...inputs, ...target.binding?.override?.pin } }
  const { sent, going } = await screenOverridden(deps, at, changed)
  refuseInvalid(at, { what: 'arguments', schema: schemaOf(target, 'inputSchema'), value: going['arguments'] ?? {} })
  attempt.passed = sent
  return going
}

/** A reply as the hooks let it through, after the content rules and before the caller; so for results of tasks. */
export function askHooksAfter(deps: HookingDeps, at: Place, reply: Reply): Reply | Promise<Reply> {
  const { attempt, target } = at
  const isResult = reply.kind === 'complete' && ['tools/call', 'tasks/get'].includes(attempt.request.method)
  if (!isResult || !deps.hooks.concern('post', toolOf(attempt, target))) return reply
  return after(deps, at, reply)
}

async function after(deps: HookingDeps, at: Place, reply: Reply & { kind: 'complete' }): Promise<Reply> {
  const whole = reply.result.value()
  const isTask = at.attempt.request.method === 'tasks/get'
  const output = isTask ? whole['result'] : whole
  // A task that still works has nothing to show.
  if (!isJsonObject(output)) return reply
  const isError = output['isError'] === true
  const errorText = isError ? textOf(output) : ''
  const said = await deps.hooks.after({ ...hookedCall(at), answered: { output, isError, errorText } })
  if (said === output) return reply
  const changed = checkedOutput(at, said)
  const result = Payload.ofValue(isTask ? { ...whole, result: changed } : changed)
  return screenReply(deps, at, { ...reply, result, ...(isTask ? {} : { isError: changed['isError'] === true }) })
}

/** What a hook made of an output must be one that the tool could have given. */
function checkedOutput(at: Place, said: Json): JsonObject {
  if (!isJsonObject(said) || !Array.isArray(said['content'])) throw unusable(at, 'output', 'it is no tool result')
  const structured = said['structuredContent']
  const schema = schemaOf(at.target, 'outputSchema')
  if (schema !== undefined && said['isError'] !== true) {
    refuseInvalid(at, { what: 'output', schema, value: structured ?? null })
  }
  return said
}

type Checked = { readonly what: 'arguments' | 'output'; readonly schema: JsonObject | undefined; readonly value: Json }

function refuseInvalid(at: Place, { what, schema, value }: Checked): void {
  const isValid = schema === undefined ? null : validatorFor(schema)
  if (isValid !== null && !isValid(value)) throw unusable(at, what, 'it is not valid under the schema of the tool')
}

/** Whatever the hooks' failure modes: nobody agreed to this. */
function unusable({ attempt }: Place, what: Checked['what'], why: string): Problem {
  const hook = attempt.hooks.findLast(({ outcome }) => outcome === 'changed')?.hook ?? ''
  const where =
    what === 'output' ? 'The tool has answered, but its answer is withheld' : 'This did not go to the server'
  const detail = `${where}: the hook "${hook}" put other ${what === 'output' ? 'output' : 'arguments'} in its place, and ${why}. Tell the operator.`
  return new Problem(HOOK_FAILED, detail, { hook, kind: 'CONTEXT_CHECK_FAILED' })
}

function hookedCall({ attempt, target }: Place): HookedCall {
  const { request, passed } = attempt
  const { admission, session, signal } = request
  const args = passed?.['arguments']
  const { name } = session.clientInfo
  const { config } = target.server
  attempt.executionId ??= newId('exec')
  return {
    executionId: attempt.executionId,
    tool: toolOf(attempt, target),
    inputs: isJsonObject(args) ? args : NONE,
    context: {
      authorization: [],
      secrets: config.transport === 'worker' ? Object.keys(config.secrets) : [],
      metadata: {
        gateway: admission.gateway,
        client: typeof name === 'string' ? name : '',
        groups: admission.principal.groups,
        trace_id: attempt.traceId,
      },
      user_id: admission.userId,
    },
    signal,
    note: (asked) => void attempt.hooks.push(asked),
  }
}

const NONE: JsonObject = {}

function toolOf({ request }: Attempt, target: Target) {
  const { name: server, tags } = target.server.config
  return { gateway: request.admission.gateway, server, tags, name: target.tool ?? target.original }
}

function textOf({ content }: JsonObject): string {
  const parts = Array.isArray(content) ? content.filter(isJsonObject) : []
  return parts
    .flatMap(({ text }) => (typeof text === 'string' ? [text] : []))
    .join('\n')
    .slice(0, 4_096)
}
