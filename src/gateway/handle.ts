import type { IncomingMessage, ServerResponse } from 'node:http'
import { answerPage } from '#http'
import { isProblem, Problem, type JsonObject } from '#kernel'
import type { Admission, Credentials } from '#tools'
import { readBody, type Hold } from './body.ts'
import { headerOf, type Exchange, type FaceContext } from './context.ts'
import type { Guard } from './guard.ts'
import { handleLegacy } from './legacy/handle.ts'
import type { Sessions } from './legacy/sessions.ts'
import { isModern } from './modern/envelope.ts'
import { handleModern } from './modern/handle.ts'
import { CLOSING, INTERNAL_ERROR, INVALID_REQUEST, LOOP } from './problems.ts'
import { idOf, parseMessage, type Messages, type RpcId } from './rpc.ts'
import type { Listens } from './subscriptions/listens.ts'
import { errorMessage, sendEmpty, sendJson, sendProblem } from './write.ts'

/** The face with everything it holds. */
export type Face = {
  readonly context: FaceContext
  readonly sessions: Sessions
  readonly listens: Listens
  readonly guard: Guard
  readonly publicUrl: () => string
  readonly houseId: string | undefined
  isClosing: boolean
  /** Of large bodies whose requests are not answered yet. */
  heldBytes: number
}

/** One HTTP request at `/mcp/{slug}`: guard → admit → body → era → leg. Always ends with an answer. */
export async function handleRequest(
  face: Face,
  req: IncomingMessage,
  res: ServerResponse,
  slug: string,
): Promise<void> {
  const seen: { id: RpcId | null } = { id: null }
  res.on('error', () => {}) // A client that left; 'close' follows and is acted upon.
  try {
    face.guard(req)
    refuseLoop(face, req)
    if (req.headers.origin !== undefined && answerPageOf(req, res, req.headers.origin) === 'answered') return
    if (face.isClosing) throw new Problem(CLOSING, 'The gateway is stopping. Try again in a moment.')
    // Before the body: a stranger may not fill our memory.
    const credentials = credentialsOf(face.context, req)
    const admission = face.context.tools.admit({ gateway: slug, credentials, face: 'mcp' })
    const { bytes, value } = await readMessageBody(face, req, res)
    seen.id = idOf(value)
    const messages = parseBody(value, face.context.limits.batchMessages)
    await requireScopes(face.context, admission, messages)
    await answer(face, { req, res, gateway: slug, credentials, admission, body: bytes }, messages)
  } catch (error) {
    answerFailure(face, { res, id: seen.id, slug }, error)
  }
}

/** A house that is a server of its own would list its tools again under new names, and those again. */
function refuseLoop({ houseId }: Face, req: IncomingMessage): void {
  if (houseId === undefined || headerOf(req, 'gatehouse-house') !== houseId) return
  throw new Problem(LOOP, 'This address leads back to the house that asks: a house cannot be a server of its own.')
}

/** Before anything of an answer leaves, since a client learns by its status that it has to ask for more. */
async function requireScopes({ tools }: FaceContext, admission: Admission, { list }: Messages): Promise<void> {
  if (admission.principal.scopes === null) return
  for (const message of list) {
    if (message.kind !== 'request' || message.method !== 'tools/call') continue
    const { name } = message.params
    if (typeof name === 'string') await tools.requireScopes(admission, name)
  }
}

/** Pages that the guard has let in may read what we answer; browsers ask for that first, and without a key. */
function answerPageOf(req: IncomingMessage, res: ServerResponse, origin: string): 'answered' | 'goes on' {
  const { headers, isPreflight } = answerPage({
    method: req.method,
    origin,
    requestedMethod: headerOf(req, 'access-control-request-method'),
    requestedHeaders: headerOf(req, 'access-control-request-headers'),
  })
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value)
  if (!isPreflight) return 'goes on'
  sendEmpty(res, 204)
  return 'answered'
}

async function answer(face: Face, exchange: Exchange, messages: Messages): Promise<void> {
  const [first] = messages.list
  if (first === undefined || messages.isBatch || !isModern(exchange.req, first)) {
    return await handleLegacy(face.context, face.sessions, exchange, messages)
  }
  // Nothing that a stateless client may tell outside a call is of use here: cancelling is closing the response.
  if (first.kind !== 'request') return sendEmpty(exchange.res, 202)
  if (await isForwarded(face.context, exchange, first.params)) return
  await handleModern(face.context, face.listens, exchange, first)
}

/** A parked call lives in one replica; the state that the client brings back says which. */
async function isForwarded({ replica }: FaceContext, exchange: Exchange, params: JsonObject): Promise<boolean> {
  if (replica?.ownerOf === undefined || typeof params.requestState !== 'string') return false
  const owner = replica.ownerOf(params.requestState)
  if (owner === null || owner === replica.id) return false
  return (await replica.forward(owner, exchange.req, exchange.res, exchange.body)) === 'forwarded'
}

const NO_BODY = { bytes: Buffer.alloc(0), value: undefined }

async function readMessageBody(
  face: Face,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<{ bytes: Buffer; value: unknown }> {
  if (req.method !== 'POST') return NO_BODY
  return await readBody(req, face.context.limits, holdUntilClosed(face, res))
}

function holdUntilClosed(face: Face, res: ServerResponse): Hold {
  let own = 0
  return (bytes) => {
    if (face.heldBytes + bytes > face.context.limits.bodyBytesTotal) return false
    if (own === 0) res.once('close', () => void (face.heldBytes -= own))
    own += bytes
    face.heldBytes += bytes
    return true
  }
}

function parseBody(value: unknown, maxMessages: number): Messages {
  if (value === undefined) return { list: [], isBatch: false }
  if (!Array.isArray(value)) return { list: [parseMessage(value)], isBatch: false }
  if (value.length === 0 || value.length > maxMessages) {
    throw new Problem(INVALID_REQUEST, `A batch must hold 1–${maxMessages} messages.`)
  }
  return { list: value.map(parseMessage), isBatch: true }
}

function credentialsOf({ addressOf }: FaceContext, req: IncomingMessage): Credentials {
  return {
    authorization: req.headers.authorization,
    userId: headerOf(req, 'gatehouse-user-id') ?? headerOf(req, 'arcade-user-id'),
    remoteAddress: addressOf(req),
  }
}

function answerFailure(face: Face, to: { res: ServerResponse; id: RpcId | null; slug: string }, error: unknown): void {
  if (isProblem(error)) return sendProblem(to.res, error, { id: to.id, metadata: metadataOf(face, to.slug) })
  face.context.log.error({ err: error }, 'an MCP request failed')
  if (to.res.headersSent) {
    to.res.destroy()
    return
  }
  sendJson(to.res, { status: 500, body: errorMessage(to.id, INTERNAL_ERROR) })
}

/** Where clients learn how to sign somebody in for this gateway; null where nobody can be. */
function metadataOf({ context, publicUrl }: Face, slug: string): string | null {
  if (!context.tools.takesTokens(slug)) return null
  return `${publicUrl().replace(/\/$/, '')}/.well-known/oauth-protected-resource/mcp/${slug}`
}
