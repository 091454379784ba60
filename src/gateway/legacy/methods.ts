import { isProblem, Problem } from '#kernel'
import { isLogLevel, type CallMethod } from '#tools'
import { offersMethod } from '../bridge/capabilities.ts'
import type { Answer } from '../answer.ts'
import { legacyShape, LISTS, pageOf, type ListSpec } from '../lists.ts'
import { missingMeta } from '../modern/describe.ts'
import { INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, rpcErrorOf, TOO_MANY } from '../problems.ts'
import { answerCall } from './call.ts'
import { reply, type LegacyRequest } from './request.ts'
import { cancelTask, getTask, listTasks, taskResult } from './tasks.ts'

type Undispatched = Omit<LegacyRequest, 'signal' | 'cancel'>
type Method = (request: LegacyRequest) => Promise<void> | void

const CALLS = ['tools/call', 'resources/read', 'prompts/get', 'completion/complete'] as const satisfies CallMethod[]

const METHODS: ReadonlyMap<string, Method> = new Map<string, Method>([
  ['ping', (request) => reply(request, {})],
  ['logging/setLevel', setLevel],
  ['resources/subscribe', subscribe],
  ['resources/unsubscribe', unsubscribe],
  ['tasks/get', getTask],
  ['tasks/result', taskResult],
  ['tasks/list', listTasks],
  ['tasks/cancel', cancelTask],
  ...[...LISTS].map(([method, spec]): [string, Method] => [method, (request) => answerList(request, spec)]),
  ...CALLS.map((method): [string, Method] => [method, (request) => answerCall(request, method)]),
])

/** Runs one request under its id, so that it can be cancelled; whatever happens, the answer gets its part. */
export async function dispatch(at: Undispatched): Promise<void> {
  const { session, message, answer, face } = at
  const ending = answer.isOfOne ? answer : new PartOfAnswer(answer)
  let isRunning = false
  try {
    refuseTwice(at)
    session.beginCall(message.id, ending)
    isRunning = true
    await methodOf(at)({ ...at, signal: ending.signal, cancel: () => ending.abort() })
  } catch (error) {
    if (!isProblem(error)) face.log.error({ err: error, method: message.method }, 'an MCP request failed')
    // A session-era client takes any other status for a broken connection.
    answer.error(message.id, isProblem(error) ? rpcErrorOf(error) : INTERNAL_ERROR)
  } finally {
    if (isRunning) session.endCall(message.id)
  }
}

/** One request of a batch: ends alone, or with its answer. */
class PartOfAnswer {
  readonly signal: AbortSignal
  readonly #own = new AbortController()

  constructor(answer: Answer) {
    this.signal = AbortSignal.any([answer.signal, this.#own.signal])
  }

  abort(): void {
    this.#own.abort()
  }
}

function refuseTwice({ face, session, message }: Undispatched): void {
  if (session.calls?.has(message.id)) {
    throw new Problem(INVALID_REQUEST, `A request with the id ${JSON.stringify(message.id)} is still running.`)
  }
  if ((session.calls?.size ?? 0) >= face.limits.callsPerSession) {
    throw new Problem(TOO_MANY, `${face.limits.callsPerSession} requests of this session are running. Wait for one.`)
  }
}

function methodOf({ face, exchange, message }: Undispatched): Method {
  const method = METHODS.get(message.method)
  const { capabilities } = face.tools.describe(exchange.admission)
  if (method !== undefined && offersMethod(capabilities, message.method)) return method
  throw new Problem(METHOD_NOT_FOUND, `The method "${message.method}" is not offered by this gateway.`)
}

async function answerList(request: LegacyRequest, spec: ListSpec): Promise<void> {
  const { face, exchange, session, message, answer } = request
  const listing = await face.tools.list(exchange.admission, spec.kind, session)
  const { cursor } = message.params
  const page = pageOf(listing, { spec, cursor, pageSize: face.limits.pageSize, shape: legacyShape })
  const meta = missingMeta(listing)
  const next = page.nextCursor === undefined ? '' : `,"nextCursor":${JSON.stringify(page.nextCursor)}`
  const tail = Object.keys(meta).length === 0 ? `${next}}` : `${next},"_meta":${JSON.stringify(meta)}}`
  answer.result(message.id, [Buffer.from(`{"${spec.member}":`), page.json, Buffer.from(tail)])
}

async function setLevel(request: LegacyRequest): Promise<void> {
  const { face, session, message } = request
  const { level } = message.params
  if (!isLogLevel(level)) throw new Problem(INVALID_PARAMS, '"params.level" must be a level of RFC 5424, as "info".')
  session.logLevel = level
  await face.tools.announce(session, 'logging/setLevel', message.params)
  reply(request, {})
}

async function subscribe(request: LegacyRequest): Promise<void> {
  const { face, exchange, session } = request
  const uri = uriOf(request)
  if (session.subscriptions?.has(uri)) return reply(request, {})
  if ((session.subscriptions?.size ?? 0) >= face.limits.subscriptionsPerSession) {
    throw new Problem(TOO_MANY, `This session follows ${face.limits.subscriptionsPerSession} resources already.`)
  }
  const release = await face.tools.subscribe({
    admission: exchange.admission,
    session,
    uri,
    onUpdated: (params) => session.outside.notify('notifications/resources/updated', params),
  })
  session.subscriptions ??= new Map()
  session.subscriptions.set(uri, release)
  reply(request, {})
}

async function unsubscribe(request: LegacyRequest): Promise<void> {
  const { session } = request
  const uri = uriOf(request)
  const release = session.subscriptions?.get(uri)
  session.subscriptions?.delete(uri)
  if (session.subscriptions?.size === 0) session.subscriptions = undefined
  await release?.()
  reply(request, {})
}

function uriOf({ message }: LegacyRequest): string {
  const { uri } = message.params
  if (typeof uri === 'string' && uri.length > 0 && uri.length <= 8192) return uri
  throw new Problem(INVALID_PARAMS, '"params.uri" must be a string of 1–8192 characters.')
}
