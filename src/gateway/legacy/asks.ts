import { newId, type JsonObject } from '#kernel'
import type { AskRequest, RpcError } from '#tools'
import { missingCapability } from '../bridge/capabilities.ts'
import type { RpcResponse } from '../rpc.ts'
import { notificationMessage, requestMessage, type Pieces } from '../write.ts'
import type { LegacySession } from './session.ts'

/** Questions to a session-era client: JSON-RPC requests from us, on one of its streams. */

export type AskOptions = {
  /** Puts a message on a stream; false when there is none. */
  say(message: Pieces): boolean
  readonly signal: AbortSignal
}

/** The client refused, or cannot be asked. `rpc` is what it said, or what to say in its place. */
export class AskRefused extends Error {
  readonly rpc: RpcError
  constructor(rpc: RpcError) {
    super(rpc.message)
    this.name = 'AskRefused'
    this.rpc = rpc
  }
}

/** Asks and waits. What the client did not declare is never sent: elicitations are declined, roots are none. */
export async function askOne(session: LegacySession, request: AskRequest, options: AskOptions): Promise<JsonObject> {
  if (missingCapability(request, session.clientCapabilities) !== null) return answerInstead(request)
  const response = await send(session, request, options)
  if (response.result !== undefined) return response.result
  if (request.method === 'elicitation/create') return { action: 'cancel' }
  throw new AskRefused(response.error ?? { code: -32603, message: 'The client sent no result.' })
}

/** Takes a client's response to one of our questions; false when none was waiting for it. */
export function takeResponse(session: LegacySession, response: RpcResponse): boolean {
  const waiting = session.asks?.get(response.id)
  waiting?.(response)
  return waiting !== undefined
}

function answerInstead(request: AskRequest): JsonObject {
  switch (request.method) {
    case 'elicitation/create':
      if (request.params?.mode !== 'url') return { action: 'decline' }
      throw new AskRefused(urlRequired(request.params))
    case 'roots/list':
      return { roots: [] }
    default:
      throw new AskRefused({ code: -32601, message: `The client cannot do "${request.method}".` })
  }
}

/** 2025-11-25 client/elicitation: a page that must be opened before the call can succeed, told as an error. */
function urlRequired(params: JsonObject): RpcError {
  const elicitation = { ...withElicitationId(params), mode: 'url' }
  const message = `This call needs a page to be opened first: ${typeof params.url === 'string' ? params.url : 'its address'} – open it, finish there, and call again.`
  return { code: -32042, message, data: { elicitations: [elicitation] } }
}

async function send(session: LegacySession, request: AskRequest, options: AskOptions): Promise<RpcResponse> {
  const id = session.nextNumber()
  const { promise, resolve, reject } = Promise.withResolvers<RpcResponse>()
  const onAbort = () => {
    options.say(notificationMessage('notifications/cancelled', { requestId: id }))
    reject(new Error(`The question "${request.method}" was withdrawn before the client answered.`))
  }
  options.signal.throwIfAborted()
  session.asks ??= new Map()
  session.asks.set(id, resolve)
  options.signal.addEventListener('abort', onAbort, { once: true })
  try {
    if (!options.say(requestMessage(id, request.method, paramsOf(request)))) {
      throw new AskRefused({ code: -32603, message: `There is no stream to ask the client "${request.method}" on.` })
    }
    return await promise
  } finally {
    options.signal.removeEventListener('abort', onAbort)
    session.asks.delete(id)
    if (session.asks.size === 0) session.asks = undefined
  }
}

function paramsOf({ method, params }: AskRequest): JsonObject | undefined {
  return method === 'elicitation/create' && params?.mode === 'url' ? withElicitationId(params) : params
}

/** Modern servers give no id; the session era needs one to tell later that the page is done. */
function withElicitationId(params: JsonObject): JsonObject {
  return typeof params.elicitationId === 'string' ? params : { ...params, elicitationId: newId('elicit') }
}
