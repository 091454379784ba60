import { Problem } from '#kernel'
import { Answer } from '../answer.ts'
import { acceptedTypes, headerOf, type Exchange, type FaceContext } from '../context.ts'
import { INVALID_REQUEST, NO_SUCH_SESSION, NOT_ACCEPTABLE, SESSION_NEEDED, WRONG_HTTP_METHOD } from '../problems.ts'
import type { Messages, RpcMessage, RpcNotification, RpcRequest } from '../rpc.ts'
import { sendEmpty } from '../write.ts'
import { takeResponse } from './asks.ts'
import { initialize, LEGACY_VERSIONS } from './initialize.ts'
import { dispatch } from './methods.ts'
import { ReplayStream } from './replay.ts'
import type { SessionExchange } from './request.ts'
import type { Sessions } from './sessions.ts'
import { openServerStream } from './server-stream.ts'

const BATCH_VERSION = '2025-03-26'

/** Answers one HTTP request of the session era (2025-11-25 and older). Throws Problems. */
export async function handleLegacy(
  face: FaceContext,
  sessions: Sessions,
  exchange: Exchange,
  messages: Messages,
): Promise<void> {
  const [first] = messages.list
  if (!messages.isBatch && first?.kind === 'request' && first.method === 'initialize') {
    return initialize(face, sessions, exchange, first)
  }
  const id = requireSessionId(exchange)
  if (await isForwarded(face, exchange, id)) return
  const session = sessions.find(id, exchange.admission)
  if (session === null) throw noSuchSession()
  requireVersion(exchange)
  if (exchange.req.method === 'POST') return await receive({ face, sessions, exchange, session }, messages)
  if (exchange.req.method === 'GET') return openServerStream({ face, sessions, exchange, session })
  sessions.end(session)
  sendEmpty(exchange.res, 204)
}

async function receive(at: SessionExchange, { list, isBatch }: Messages): Promise<void> {
  if (isBatch && at.session.protocolVersion !== BATCH_VERSION) {
    throw new Problem(INVALID_REQUEST, `Batches are part of ${BATCH_VERSION} only. Send one message at a time.`)
  }
  for (const message of list) hear(at, message)
  const requests = list.filter((message) => message.kind === 'request')
  if (requests.length === 0) return sendEmpty(at.exchange.res, 202)
  const answer = openAnswer(at, isBatch ? requests.length : null)
  await Promise.all(requests.map(async (message: RpcRequest) => await dispatch({ ...at, message, answer })))
}

/** Takes what needs no answer. */
function hear({ face, session, exchange }: SessionExchange, message: RpcMessage): void {
  if (message.kind === 'response') {
    if (!takeResponse(session, message)) face.log.debug({ session: session.key }, 'a response to no question of ours')
    return
  }
  if (message.kind === 'notification') hearNotification({ face, session, exchange }, message)
}

function hearNotification(at: Omit<SessionExchange, 'sessions'>, { method, params }: RpcNotification): void {
  switch (method) {
    case 'notifications/cancelled': {
      const { requestId } = params
      if (typeof requestId === 'string' || typeof requestId === 'number') at.session.calls?.get(requestId)?.abort()
      return
    }
    case 'notifications/roots/list_changed':
      at.face.tools.announce(at.session, method, params).catch((error: unknown) => {
        at.face.log.warn({ err: error }, 'could not pass an announcement on')
      })
      return
    default: // notifications/initialized, and what we do not know, need nothing done.
  }
}

function openAnswer(at: SessionExchange, batchSize: number | null): Answer {
  const { face, exchange } = at
  const accepts = acceptedTypes(exchange.req)
  if (!accepts.json && !accepts.stream) {
    throw new Problem(NOT_ACCEPTABLE, 'Send "Accept: application/json, text/event-stream".')
  }
  const answer: Answer = new Answer({
    res: exchange.res,
    clock: face.clock,
    pulse: face.pulse,
    silenceMs: face.limits.silenceMs,
    openStream: accepts.stream ? () => openCallStream(at, () => answer.abandon()) : null,
    streamOnly: !accepts.json || (accepts.stream && face.limits.silenceMs === 0),
    batchSize,
    survivesDisconnect: true,
    exchange,
    open: face.open,
  })
  if (accepts.streamFirst) answer.openNow()
  return answer
}

function openCallStream({ face, sessions, exchange, session }: SessionExchange, abandon: () => void): ReplayStream {
  const stream = new ReplayStream({
    face,
    budget: sessions.budget,
    kind: 'call',
    number: session.nextNumber(),
    protocolVersion: session.protocolVersion,
    headers: {},
    onGone: (gone) => {
      session.removeStream(gone)
      abandon()
    },
  })
  session.addStream(stream)
  stream.connect(exchange.res, null)
  return stream
}

function requireSessionId({ req }: Exchange): string {
  const id = headerOf(req, 'mcp-session-id')
  if (req.method !== 'POST' && (id === undefined || (req.method !== 'GET' && req.method !== 'DELETE'))) {
    throw new Problem(WRONG_HTTP_METHOD, `${req.method} is for clients with a session only. Use POST.`)
  }
  if (id === undefined) {
    throw new Problem(
      SESSION_NEEDED,
      'The header Mcp-Session-Id is missing. Send "initialize" first and repeat the id it gives, or speak 2026-07-28.',
    )
  }
  if (!/^[\x21-\x7e]{1,128}$/.test(id)) throw noSuchSession()
  return id
}

function requireVersion({ req }: Exchange): void {
  const version = headerOf(req, 'mcp-protocol-version')
  if (version === undefined || LEGACY_VERSIONS.includes(version)) return
  throw new Problem(
    SESSION_NEEDED,
    `The header MCP-Protocol-Version is "${version.slice(0, 64)}". In a session it must be one of ${LEGACY_VERSIONS.join(', ')}.`,
  )
}

/** A session lives in one replica, whose name begins its id. */
async function isForwarded({ replica }: FaceContext, exchange: Exchange, sessionId: string): Promise<boolean> {
  if (replica === undefined) return false
  const end = sessionId.indexOf('.')
  const owner = sessionId.slice(0, Math.max(0, end))
  if (owner === '' || owner === replica.id) return false
  const body = exchange.req.method === 'POST' ? exchange.body : undefined
  const outcome = await replica.forward(owner, exchange.req, exchange.res, body)
  if (outcome === 'gone') throw noSuchSession()
  return true
}

function noSuchSession(): Problem {
  return new Problem(
    NO_SUCH_SESSION,
    'There is no such session, or it has ended. Send "initialize" to begin a new one.',
  )
}
