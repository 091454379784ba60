import { hash } from 'node:crypto'
import type { JsonObject } from '#kernel'
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
export class ModernSession implements CallerSession {
  readonly era = 'modern'
  readonly userId: string
  readonly clientInfo: JsonObject
  readonly clientCapabilities: JsonObject
  readonly #admission: Admission
  #key: string | undefined

  constructor(admission: Admission, { clientInfo, clientCapabilities }: Envelope) {
    this.#admission = admission
    this.userId = admission.userId
    this.clientInfo = clientInfo
    this.clientCapabilities = clientCapabilities
  }

  /** Only servers of the session era need it, so it is made when they ask. */
  get key(): string {
    const { gateway, userId, keyId } = this.#admission
    const account = [gateway, userId, keyId, this.clientCapabilities]
    this.#key ??= `modern_${hash('sha256', JSON.stringify(account), 'base64url')}`
    return this.#key
  }
}
