import { hash } from 'node:crypto'
import type { Admission, CallerSession } from '#tools'
import type { Exchange, FaceContext } from '../context.ts'
import type { RpcRequest } from '../rpc.ts'
import type { Envelope } from './envelope.ts'

/** Everything about one request of the stateless era. */
export type ModernRequest = {
  readonly face: FaceContext
  readonly exchange: Exchange
  readonly message: RpcRequest
  readonly envelope: Envelope
  readonly session: CallerSession
}

/** A stateless client as sources know it: the same account with the same capabilities is the same caller. */
export function modernSession(admission: Admission, envelope: Envelope): CallerSession {
  const account = JSON.stringify([admission.gateway, admission.userId, admission.keyId, envelope.clientCapabilities])
  return {
    key: `modern_${hash('sha256', account, 'base64url')}`,
    era: 'modern',
    userId: admission.userId,
    clientInfo: envelope.clientInfo,
    clientCapabilities: envelope.clientCapabilities,
  }
}
