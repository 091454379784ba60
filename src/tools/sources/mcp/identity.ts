import type { JsonObject } from '#kernel'
import { IDENTITY_META } from '../../callers/identity-token.ts'
import type { Identify } from '../../source.ts'
import { objectAt } from './json.ts'

/** Who calls, as a header of one HTTP request. */
export function identityHeader(identity: Identify | undefined): Record<string, string> {
  return identity === undefined ? {} : { 'gatehouse-identity': identity() }
}

/** Who calls, in a message for a program here: a process has no headers. */
export function withIdentity(params: JsonObject, identity: Identify | undefined): JsonObject {
  if (identity === undefined) return params
  return { ...params, _meta: { ...objectAt(params, '_meta'), [IDENTITY_META]: identity() } }
}
