import type { RpcError } from '../source.ts'

/** A call that ends before its server has answered, with what the caller is told and what the audit says. */
export class Refused extends Error {
  readonly error: RpcError
  readonly decision: 'denied' | 'failed'

  constructor(decision: 'denied' | 'failed', error: RpcError, reason = error.message) {
    super(reason)
    this.name = 'Refused'
    this.decision = decision
    this.error = error
  }
}

export const INVALID_PARAMS = -32602
export const INTERNAL_ERROR = -32603
/** "Resource not found" until 2025-11-25; since 2026-07-28 it is -32602. */
export const LEGACY_RESOURCE_NOT_FOUND = -32002
