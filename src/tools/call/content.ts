import { BLOCKED_INPUT, WITHHELD_OUTPUT, type Message, type Screened, type Subject } from '#content'
import { isJsonObject, Problem, type JsonObject } from '#kernel'
import { Payload } from '../payload.ts'
import type { AskRequest, Reply, RpcError } from '../source.ts'
import type { Attempt, Target } from './attempt.ts'
import type { CallDeps } from './deps.ts'

/** Where the content rules are asked in the path of a call. Where no rule is in scope nothing is read, nor waited for. */
export type ContentDeps = Pick<CallDeps, 'content' | 'metrics'>

/** A call on its way, as far as rules name it. */
export type Place = { readonly attempt: Attempt; readonly target: Target }

/** What was sent, after the rules. `going` has the values in the place of the caller's tokens, `sent` the tokens. */
export type ScreenedParams = { readonly sent: JsonObject; readonly going: JsonObject }

/** The caller's parameters; throws `content/blocked-input`, and notes on the attempt whether a person has to approve. */
export function screenParams(deps: ContentDeps, at: Place): ScreenedParams | Promise<ScreenedParams> {
  return screenOverridden(deps, at, at.attempt.request.params)
}

/** The same for parameters that took the place of the caller's. */
export function screenOverridden(
  deps: ContentDeps,
  at: Place,
  params: JsonObject,
): ScreenedParams | Promise<ScreenedParams> {
  const subject = subjectOf(at)
  const revealed = deps.content.reveal(subject, params)
  if (revealed === params && !deps.content.concerns('input', subject)) return { sent: params, going: params }
  return screenRevealed(deps, at, { params, revealed })
}

function screenRevealed(
  deps: ContentDeps,
  at: Place,
  { params, revealed }: { params: JsonObject; revealed: JsonObject },
): ScreenedParams | Promise<ScreenedParams> {
  const schema = schemaOf(at.target, 'inputSchema')
  const passed = passInput(deps, at, { kind: 'params', value: revealed, schema })
  if (revealed === params) return after(passed, (going) => ({ sent: going, going }))
  const message: Message = { kind: 'params', value: params, schema }
  const keep = (going: JsonObject) =>
    after(deps.content.screen('input', subjectOf(at), message), (kept) => ({ sent: kept.value, going }))
  return passed instanceof Promise ? passed.then(keep) : keep(passed)
}

/** Small messages are looked at on the spot; waiting for what is there already would cost every call. */
function after<From, To>(value: From | Promise<From>, go: (value: From) => To): To | Promise<To> {
  return value instanceof Promise ? value.then(go) : go(value)
}

/** A caller's answers to a server's questions; throws `content/blocked-input`. */
export function screenAnswers(deps: ContentDeps, at: Place, answers: JsonObject): JsonObject | Promise<JsonObject> {
  const subject = subjectOf(at)
  const revealed = deps.content.reveal(subject, answers)
  if (!deps.content.concerns('input', subject)) return revealed
  return passInput(deps, at, { kind: 'answers', value: revealed })
}

/** What a server answered; throws `content/withheld-output`. */
export function screenReply(deps: ContentDeps, at: Place, reply: Reply): Reply | Promise<Reply> {
  if (!deps.content.concerns('output', subjectOf(at))) return reply
  return reply.kind === 'complete' ? screenComplete(deps, at, reply) : screenOther(deps, at, reply)
}

async function screenOther(deps: ContentDeps, at: Place, reply: Exclude<Reply, { kind: 'complete' }>): Promise<Reply> {
  switch (reply.kind) {
    case 'task':
      return { ...reply, task: await passOutput(deps, at, { kind: 'result', value: reply.task }) }
    case 'error':
      return { ...reply, error: await screenError(deps, at, reply.error) }
    case 'input':
      return { ...reply, requests: await screenQuestions(deps, at, reply.requests) }
  }
}

function screenComplete(deps: ContentDeps, at: Place, reply: Reply & { kind: 'complete' }): Reply | Promise<Reply> {
  const schema = schemaOf(at.target, 'outputSchema')
  return after(deps.content.screenResult(subjectOf(at), reply.result, schema), (screened) => {
    note(deps, at.attempt, screened)
    if (isRefused(screened)) throw refusal(WITHHELD_OUTPUT, screened)
    if (screened.outcome === 'passes') return reply
    const { bytes, value } = screened
    return { ...reply, result: bytes ? Payload.ofBytes(Buffer.from(bytes)) : Payload.ofValue(value) }
  })
}

/** Whether the rules have nothing to say to what a caller sent and what goes nowhere. */
export async function findsNothing(deps: ContentDeps, at: Place): Promise<boolean> {
  const { params } = at.attempt.request
  const screened = await deps.content.screen('input', subjectOf(at), { kind: 'params', value: params })
  note(deps, at.attempt, screened)
  return screened.outcome === 'passes' && screened.applied.length === 0
}

/** A name that means nothing here, as the rules that hold for everything at this gateway let it pass. */
export async function screenUnknown(deps: ContentDeps, attempt: Attempt, name: string): Promise<string> {
  const { gateway, userId, principal } = attempt.request.admission
  const user = { userId, groups: principal.groups }
  const subject = { gateway, server: { name: '', tags: [] }, thing: null, user }
  if (!deps.content.concerns('input', subject)) return name
  const message: Message = { kind: 'params', value: { arguments: { name } } }
  const screened = await deps.content.screen('input', subject, message)
  note(deps, attempt, screened)
  const passed = screened.value['arguments']
  const kept = isJsonObject(passed) ? passed['name'] : null
  const isStopped = isRefused(screened) || screened.outcome === 'needs-approval'
  return isStopped || typeof kept !== 'string' ? '[redacted]' : kept
}

/** What a server asks its caller; throws `content/withheld-output`. */
export async function screenQuestions(
  deps: ContentDeps,
  at: Place,
  requests: Readonly<Record<string, AskRequest>>,
): Promise<Readonly<Record<string, AskRequest>>> {
  const asked = await passOutput(deps, at, { kind: 'questions', value: requests })
  // Only texts were changed, and the names and methods are kept.
  return asked === requests ? requests : (asked as Readonly<Record<string, AskRequest>>)
}

/** A server's error, or our own words about it. */
export async function screenError(deps: ContentDeps, at: Place, error: RpcError): Promise<RpcError> {
  // What came over the wire is JSON; its type does not say so.
  const value = { message: error.message, ...(error.data === undefined ? {} : { data: error.data }) } as JsonObject
  const passed = await passOutput(deps, at, { kind: 'error', value })
  if (passed === value) return error
  const { message, data } = passed
  return {
    code: error.code,
    message: typeof message === 'string' ? message : '',
    ...(data === undefined ? {} : { data }),
  }
}

/** A notification as it may go on, or null when a rule keeps it back. */
export async function screenNotice(deps: ContentDeps, at: Place, params: JsonObject): Promise<JsonObject | null> {
  const screened = await look(deps, at, { kind: 'notification', value: params })
  return isRefused(screened) ? null : screened.value
}

/** What a message belongs to, as rules name it. A task belongs to the tool that made it. */
export function subjectOf({ attempt, target }: Place): Subject {
  const { gateway, userId, principal } = attempt.request.admission
  const { name, tags } = target.server.config
  return {
    gateway,
    server: { name, tags },
    thing: target.tool ?? target.original,
    user: { userId, groups: principal.groups },
  }
}

function passInput(deps: ContentDeps, at: Place, message: Message): JsonObject | Promise<JsonObject> {
  return after(deps.content.screen('input', subjectOf(at), message), (screened) => {
    note(deps, at.attempt, screened)
    if (isRefused(screened)) throw refusal(BLOCKED_INPUT, screened)
    if (screened.outcome === 'needs-approval') at.attempt.needsApproval = screened.by
    return screened.value
  })
}

async function passOutput(deps: ContentDeps, at: Place, message: Message): Promise<JsonObject> {
  const screened = await look(deps, at, message)
  if (isRefused(screened)) throw refusal(WITHHELD_OUTPUT, screened)
  return screened.value
}

async function look(deps: ContentDeps, at: Place, message: Message): Promise<Screened> {
  const screened = await deps.content.screen('output', subjectOf(at), message)
  note(deps, at.attempt, screened)
  return screened
}

export function isRefused({ outcome }: Screened): boolean {
  return outcome === 'blocked' || outcome === 'withheld'
}

/** Says which rule, and never what it found. */
function refusal(kind: typeof BLOCKED_INPUT | typeof WITHHELD_OUTPUT, screened: Screened): Problem {
  const what =
    kind === BLOCKED_INPUT ? 'This did not go to the server' : 'The server answered, but its answer is withheld'
  const { by } = screened
  const why =
    by === null ? 'it is nested too deeply to be checked' : `the content rule "${by.name}" ${verbOf(screened)}`
  return new Problem(kind, `${what}: ${why}.${by?.note ? ` ${by.note}` : ''}`, by === null ? {} : { rule: by.name })
}

function verbOf({ outcome }: Screened): string {
  return outcome === 'withheld' ? 'takes out something without which it is not valid' : 'does not let it pass'
}

function note({ metrics }: ContentDeps, attempt: Attempt, { applied }: Screened): void {
  for (const one of applied) {
    metrics.contentRule({ rule: one.name, effect: one.effect, found: one.found })
    const known = attempt.rules.find(({ id, version }) => id === one.id && version === one.version)
    if (known) known.found += one.found
    else attempt.rules.push({ ...one })
  }
}

/** What the tool says of its arguments or results. */
export function schemaOf(target: Target, key: 'inputSchema' | 'outputSchema'): JsonObject | undefined {
  const schema = (target.binding ?? bindingOf(target))?.definition[key]
  return isJsonObject(schema) ? schema : undefined
}

/** The tool of a task. */
function bindingOf({ view, server, tool }: Target) {
  if (tool === undefined) return undefined
  return [...view.toolByName.values()].find((one) => one.server === server.config.name && one.original === tool)
}
