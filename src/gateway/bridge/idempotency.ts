import type { IncomingMessage } from 'node:http'
import { isJsonObject, Problem, type JsonObject } from '#kernel'
import { headerOf } from '../context.ts'
import { INVALID_PARAMS } from '../problems.ts'

/** For clients that cannot set a header for each call. It stays here: servers never see it. */
export const IDEMPOTENCY_META = 'io.gatehouse/idempotency-key'

/**
 * The key of a client that re-issues a call whose answer was lost: the header `Idempotency-Key`, or the same in `_meta`.
 * Throws a Problem for anything that is no key, and for two that differ.
 */
export function idempotencyKeyOf(req: IncomingMessage, params: JsonObject): string | undefined {
  const meta = isJsonObject(params['_meta']) ? params['_meta'][IDEMPOTENCY_META] : undefined
  const keys = [headerOf(req, 'idempotency-key'), meta].filter((key) => key !== undefined)
  const [key] = keys
  if (key === undefined) return undefined
  if (keys.some((other) => other !== key)) {
    throw new Problem(INVALID_PARAMS, `The header Idempotency-Key and _meta["${IDEMPOTENCY_META}"] differ. Send one.`)
  }
  if (typeof key === 'string' && /^[\x21-\x7e]{1,255}$/.test(key)) return key
  throw new Problem(INVALID_PARAMS, 'An idempotency key (Idempotency-Key) must be 1–255 visible ASCII characters.')
}
