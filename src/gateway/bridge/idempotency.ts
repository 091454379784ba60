import type { IncomingMessage } from 'node:http'
import { Problem } from '#kernel'
import { headerOf } from '../context.ts'
import { INVALID_PARAMS } from '../problems.ts'

/** The `Idempotency-Key` header, for clients that re-issue a call whose answer was lost. */
export function idempotencyKeyOf(req: IncomingMessage): string | undefined {
  const key = headerOf(req, 'idempotency-key')
  if (key === undefined || /^[\x21-\x7e]{1,255}$/.test(key)) return key
  throw new Problem(INVALID_PARAMS, 'The header Idempotency-Key must be 1–255 visible ASCII characters.')
}
