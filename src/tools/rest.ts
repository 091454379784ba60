import type { AdminCaller, HandlerContext, KeyCaller } from '#http'
import { ACCOUNT_INACTIVE, BAD_USER, isUserId } from '#identity'
import { isJsonObject, Problem, type Json, type JsonObject } from '#kernel'
import { INTERNAL_ERROR } from './call/refused.ts'
import type { CallResult } from './contract.ts'
import { principalOf } from './callers/principal.ts'
import { CALL_FAILED, CALL_REFUSED, NO_SUCH_GATEWAY } from './problems.ts'
import type { ToolsRoutesDeps } from './routes.ts'
import type { CallerPort, CallerSession, Definition } from './source.ts'
import type { Admission, CallOutcome } from './tools.ts'
import type { GatewayView } from './views/view.ts'

type Context = HandlerContext<AdminCaller | KeyCaller>
type Wanted = { readonly slug: string; readonly user?: string | undefined }

/** The REST face, list: what this user sees, with where each tool comes from. */
export async function listByRest(
  deps: ToolsRoutesDeps,
  wanted: { slug: string; user?: string | undefined },
  context: Context,
) {
  const admission = admit(deps, wanted, context)
  const { items, missing } = await deps.tools.list(admission, 'tools', sessionOf(admission))
  const view = deps.house.snapshot().views.get(wanted.slug)
  const tools = items.flatMap((item) => showWithOrigin(item, view))
  return { gateway: wanted.slug, user: admission.userId, tools, missing }
}

function showWithOrigin(item: Definition, view: GatewayView | undefined) {
  const { name, title, description, inputSchema, outputSchema, annotations } = item
  const binding = typeof name === 'string' ? view?.toolByName.get(name) : undefined
  // Gone with a change that came between the list and this look.
  if (typeof name !== 'string' || !binding) return []
  const shown = {
    name,
    server: binding.server,
    original: binding.original,
    inputSchema: isJsonObject(inputSchema) ? inputSchema : {},
    ...(typeof title === 'string' ? { title } : {}),
    ...(typeof description === 'string' ? { description } : {}),
    ...(isJsonObject(outputSchema) ? { outputSchema } : {}),
    ...(isJsonObject(annotations) ? { annotations } : {}),
  }
  return [shown]
}

type CallBody = {
  readonly slug: string
  readonly tool: string
  readonly arguments: Readonly<Record<string, unknown>>
  readonly user?: string | undefined
  readonly idempotencyKey?: string | undefined
  readonly inputResponses?: Readonly<Record<string, unknown>> | undefined
  readonly requestState?: string | undefined
}

/** The REST face, call: the one path of every call, and its outcome as an HTTP answer. */
export async function callByRest(deps: ToolsRoutesDeps, body: CallBody, context: Context): Promise<CallResult> {
  const admission = admit(deps, body, context)
  await deps.tools.requireScopes(admission, body.tool)
  const { inputResponses, requestState, idempotencyKey } = body
  using admitted = whileAdmitted(deps, body, context)
  const outcome = await deps.tools.call({
    admission,
    face: context.caller.kind === 'admin' ? context.caller.face : 'rest',
    method: 'tools/call',
    params: { name: body.tool, arguments: json(body.arguments) },
    session: sessionOf(admission),
    port: SILENT,
    wantsProgress: false,
    signal: admitted.signal,
    ...traceOf(context.headers),
    ...(inputResponses === undefined ? {} : { inputResponses: json(inputResponses) }),
    ...(requestState === undefined ? {} : { requestState }),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
  })
  return resultOf(outcome)
}

function resultOf(outcome: CallOutcome): CallResult {
  switch (outcome.kind) {
    case 'complete':
      return complete(outcome.result.value())
    case 'input':
      return { status: 'input_required', requests: { ...outcome.requests }, requestState: outcome.requestState }
    case 'error': {
      const { code, message, data } = outcome.error
      const kind = code === INTERNAL_ERROR ? CALL_FAILED : CALL_REFUSED
      throw new Problem(kind, message, { rpcCode: code, ...(data === undefined ? {} : { data }) })
    }
    case 'task':
      throw new Error('a task was started for a caller that cannot follow it')
  }
}

function complete(result: JsonObject): CallResult {
  const { content, structuredContent, isError, _meta } = result
  return {
    status: 'complete',
    isError: isError === true,
    content: Array.isArray(content) ? content.filter(isJsonObject) : [],
    ...(structuredContent === undefined ? {} : { structuredContent }),
    ...(isJsonObject(_meta) ? { _meta } : {}),
  }
}

/** An admin acts for whom they name; everybody else passes the gateway's own door. */
function admit(deps: ToolsRoutesDeps, wanted: Wanted, context: Context): Admission {
  const { caller } = context
  const userId = userIdOf(wanted, context)
  if (caller.kind === 'key') return deps.tools.admit({ ...credentialsOf(wanted, context, caller), face: 'rest' })
  if (!deps.house.snapshot().views.has(wanted.slug)) throw noSuchGateway(wanted.slug)
  if (userId !== undefined && !isUserId(userId)) {
    throw new Problem(
      BAD_USER,
      'This cannot name a user; use 1 to 256 printable characters, such as an e-mail address.',
    )
  }
  const named = { userId: userId ?? caller.userId, keyId: caller.keyId, gateways: ['*'] }
  // Whoever works with the admin token names the user they act for, or is nobody but the admin of this machine.
  const isAdmin = userId === undefined && caller.keyId === null
  const principal = isAdmin ? principalOf(named, 'local-admin') : deps.identity.principal(named)
  if (principal === null) throw new Problem(ACCOUNT_INACTIVE, `The account of "${named.userId}" is not active.`)
  const from = { face: caller.face, remoteAddress: context.remoteAddress }
  return { gateway: wanted.slug, ...named, principal, from }
}

function credentialsOf(wanted: Wanted, context: Context, { authorization }: KeyCaller) {
  const { remoteAddress } = context
  return { gateway: wanted.slug, credentials: { authorization, userId: userIdOf(wanted, context), remoteAddress } }
}

function userIdOf(wanted: Wanted, { headers }: Context): string | undefined {
  return wanted.user ?? headers.get('gatehouse-user-id') ?? headers.get('arcade-user-id') ?? undefined
}

/** A signal that also aborts when the caller's key is revoked. */
function whileAdmitted(
  { tools }: ToolsRoutesDeps,
  wanted: Wanted,
  context: Context,
): Disposable & { signal: AbortSignal } {
  const { caller, signal } = context
  if (caller.kind !== 'key') return { signal, [Symbol.dispose]: () => {} }
  const revoked = new AbortController()
  const stop = tools.onAccessChanged(() => {
    const why = tools.whyNoLonger(credentialsOf(wanted, context, caller))
    if (why !== null) revoked.abort(why)
  })
  return { signal: AbortSignal.any([signal, revoked.signal]), [Symbol.dispose]: stop }
}

/** A REST caller is a modern client: it can answer what a server asks, with its next request. */
function sessionOf(admission: Admission): CallerSession {
  return {
    // Who came in without a key is not the admin who acts for a user of the same name.
    key: `rest:${JSON.stringify([admission.gateways, admission.gateway, admission.keyId, admission.userId])}`,
    era: 'modern',
    userId: admission.userId,
    clientInfo: { name: 'gatehouse-rest', version: '1' },
    clientCapabilities: { elicitation: { form: {}, url: {} } },
  }
}

const SILENT: CallerPort = { progress() {}, message() {}, notify() {} }

function traceOf(headers: Headers): { trace?: { traceparent: string } } {
  const traceparent = headers.get('traceparent')
  return traceparent === null ? {} : { trace: { traceparent } }
}

/** Values that were parsed from JSON are JSON, whatever their schema says of them. */
function json(value: Readonly<Record<string, unknown>>): JsonObject {
  return value as Readonly<Record<string, Json>>
}

/** The refusal of a gateway that is not there, for callers who may see all of them. */
export function noSuchGateway(slug: string): Problem {
  return new Problem(NO_SUCH_GATEWAY, `There is no gateway "${slug}". "gatehouse gateway list" shows all.`)
}
