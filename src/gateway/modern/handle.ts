import { Problem } from '#kernel'
import type { CallMethod } from '#tools'
import { offersMethod } from '../bridge/capabilities.ts'
import type { Exchange, FaceContext } from '../context.ts'
import { LISTS } from '../lists.ts'
import { METHOD_NOT_FOUND } from '../problems.ts'
import type { RpcRequest } from '../rpc.ts'
import type { Listens } from '../subscriptions/listens.ts'
import { answerCall } from './call.ts'
import { readEnvelope } from './envelope.ts'
import { answerDiscover, answerList } from './describe.ts'
import { ModernSession } from './session.ts'

const CALLS: ReadonlyMap<string, CallMethod> = new Map(
  (
    [
      'tools/call',
      'resources/read',
      'prompts/get',
      'completion/complete',
      'tasks/get',
      'tasks/update',
      'tasks/cancel',
    ] as const
  ).map((method) => [method, method]),
)

/** Answers one request of the stateless era (2026-07-28): every request says all about itself. Throws Problems. */
export async function handleModern(
  face: FaceContext,
  listens: Listens,
  exchange: Exchange,
  message: RpcRequest,
): Promise<void> {
  const envelope = readEnvelope(exchange.req, message)
  const session = new ModernSession(exchange.admission, envelope)
  const request = { face, exchange, message, envelope, session }

  if (message.method === 'server/discover') return answerDiscover(request)
  if (message.method === 'subscriptions/listen') return await listens.open(request)
  const { capabilities } = face.tools.describe(exchange.admission)
  const list = LISTS.get(message.method)
  const call = CALLS.get(message.method)
  if ((list === undefined && call === undefined) || !offersMethod(capabilities, message.method)) {
    throw new Problem(METHOD_NOT_FOUND, `The method "${message.method}" is not offered by this gateway.`)
  }
  if (list !== undefined) return await answerList(request, list)
  if (call !== undefined) return await answerCall(request, call)
}
