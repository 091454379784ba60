import { isJsonObject, type JsonObject } from '#kernel'
import type { AskRequest, CallerPort, Reply, SourceCall } from '../../../source.ts'
import { objectAt, stringAt, without } from '../json.ts'
import { brokenReply } from '../reasons.ts'
import { isRequestLike, relayNotification } from '../relay.ts'
import { CallWatch } from '../watch.ts'
import type { Answer } from '../wire/message.ts'
import type { ModernCarrier } from './carrier.ts'
import { modernCapabilities, withEnvelope } from './envelope.ts'
import { paramHeadersOf, type ParamHeader } from './param-headers.ts'

export type ModernCalls = {
  readonly server: string
  readonly carrier: ModernCarrier
  /** By tool name, from the last sync. */
  readonly paramHeaders: ReadonlyMap<string, readonly ParamHeader[]>
  nextToken(): number
}

/** One leg is one request; the server keeps nothing between legs that we would have to find again. */
export async function callModern(calls: ModernCalls, call: SourceCall, port: CallerPort): Promise<Reply> {
  const { session, logLevel, trace } = call
  const token = call.wantsProgress ? calls.nextToken() : undefined
  const params = withEnvelope(
    { ...call.params, ...retryFields(call) },
    {
      clientInfo: session.clientInfo,
      clientCapabilities: modernCapabilities(session, {
        understandsTasks: call.task !== undefined || call.method.startsWith('tasks/'),
      }),
      logLevel,
      progressToken: token,
      trace,
    },
  )
  const watch = new CallWatch({ server: calls.server, silenceMs: call.timeoutMs })
  watch.resume(call.signal)
  try {
    const answer = await calls.carrier.request({
      method: call.method,
      params,
      session,
      identity: call.identity,
      headers: headersOf(calls, call),
      signal: watch.signal,
      onMessage: (message) => {
        watch.touch()
        if (message.kind === 'notification') relayNotification(message, port, { token, logLevel })
      },
    })
    return readReply(calls.server, call, answer)
  } finally {
    watch.pause()
  }
}

function retryFields({ inputResponses, state }: SourceCall): JsonObject {
  return {
    ...(inputResponses !== undefined && { inputResponses }),
    ...(state !== undefined && { requestState: state }),
  }
}

function headersOf(calls: ModernCalls, call: SourceCall): Record<string, string> {
  if (call.method !== 'tools/call') return {}
  const known = calls.paramHeaders.get(stringAt(call.params, 'name') ?? '')
  return known === undefined ? { ...call.paramHeaders } : paramHeadersOf(known, objectAt(call.params, 'arguments'))
}

function readReply(server: string, call: SourceCall, answer: Answer): Reply {
  if (answer.kind === 'error') return { kind: 'error', error: answer.error }
  const { result, isError } = answer
  switch (answer.resultType) {
    case undefined:
    case 'complete':
      return { kind: 'complete', result, isError }
    case 'input_required':
      return readInput(server, result.value())
    case 'task':
      if (call.method !== 'tools/call') return { kind: 'complete', result, isError }
      return { kind: 'task', task: without(result.value(), 'resultType', '_meta') }
    default:
      throw brokenReply(server, `answered with the unknown result type "${answer.resultType.slice(0, 64)}"`)
  }
}

/** Questions of one round. */
const MAX_ASKS = 32

/** What a server asks, by key. */
export function readRequests(server: string, asked: JsonObject): Readonly<Record<string, AskRequest>> {
  const requests: Record<string, AskRequest> = {}
  for (const [key, request] of Object.entries(asked)) {
    if (!isRequestLike(request)) throw brokenReply(server, 'asked for input in an unknown form')
    const { method, params } = request
    requests[key] = isJsonObject(params) ? { method, params } : { method }
  }
  if (Object.keys(requests).length > MAX_ASKS) {
    throw brokenReply(server, `asked for more than ${MAX_ASKS} things at once`)
  }
  return requests
}

function readInput(server: string, result: JsonObject): Reply {
  const requests = readRequests(server, objectAt(result, 'inputRequests'))
  const state = stringAt(result, 'requestState')
  if (Object.keys(requests).length === 0 && state === undefined) {
    throw brokenReply(server, 'asked for input without saying which')
  }
  return { kind: 'input', requests, pinned: false, ...(state !== undefined && { state }) }
}
