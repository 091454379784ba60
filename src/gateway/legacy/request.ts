import type { JsonObject } from '#kernel'
import type { Answer } from '../answer.ts'
import type { Exchange, FaceContext } from '../context.ts'
import type { RpcRequest } from '../rpc.ts'
import type { LegacySession } from './session.ts'
import type { Sessions } from './sessions.ts'

/** One HTTP request in a session. */
export type SessionExchange = {
  readonly face: FaceContext
  readonly sessions: Sessions
  readonly exchange: Exchange
  readonly session: LegacySession
}

/** One JSON-RPC request in a session. `signal` aborts when the client cancels it, leaves, or its session ends. */
export type LegacyRequest = SessionExchange & {
  readonly message: RpcRequest
  readonly answer: Answer
  readonly signal: AbortSignal
  /** Aborts `signal`, as if the client had cancelled. */
  cancel(): void
}

export function reply({ answer, message }: LegacyRequest, result: JsonObject): void {
  answer.result(message.id, [Buffer.from(JSON.stringify(result))])
}
