import { isJsonObject, type JsonObject } from '#kernel'
import { IDENTITY_META, identityOfCaller, type SignIdentity } from '../callers/identity-token.ts'
import type { Identify } from '../source.ts'
import type { Attempt, Target } from './attempt.ts'

/** What goes to the server beside the call: its own credential, which its source holds, and who calls, if it wants that. */
export type Credential = { readonly kind: 'server'; readonly identity?: Identify }

/** Chooses the credential of this call. A caller's own credential for the gateway never goes to a server. */
export function chooseCredential(
  { signIdentity }: { signIdentity: SignIdentity },
  { request }: Attempt,
  target: Target,
): Credential {
  const { principal, gateway } = request.admission
  const tool = target.binding === undefined ? target.tool : target.original
  const who = { principal, gateway, ...(tool === undefined ? {} : { tool }) }
  const identity = identityOfCaller(signIdentity, target.server.config, who)
  return identity === undefined ? { kind: 'server' } : { kind: 'server', identity }
}

/** Without an identity that the caller wrote: a server must be able to believe what it finds there. */
export function withoutClaimedIdentity(params: JsonObject): JsonObject {
  const meta = params['_meta']
  if (!isJsonObject(meta) || meta[IDENTITY_META] === undefined) return params
  const { [IDENTITY_META]: _, ...rest } = meta
  return { ...params, _meta: rest }
}
