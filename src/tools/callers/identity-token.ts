import type { Principal } from '#identity'
import type { JsonObject } from '#kernel'
import type { ServerConfig } from '../config.ts'
import type { Identify } from '../source.ts'

/** Signs what a server is told about who calls, for at the most a minute (docs/upstream-identity.md). */
export type SignIdentity = (claims: JsonObject) => string

/** Where the token lies in a message for a program here; over HTTP it is a header. Nobody's but ours goes out there. */
export const IDENTITY_META = 'io.gatehouse/identity'

/** For whom a server's tokens are made: for this server alone. Null for one that gets none. */
function audienceOf(config: ServerConfig): string | null {
  if (config.transport === 'builtin' || !config.identity_token) return null
  if (config.identity_audience !== undefined) return config.identity_audience
  return config.transport === 'stdio' ? `gatehouse:server:${config.name}` : config.url
}

export type CallerIdentity = { readonly principal: Principal; readonly gateway: string; readonly tool?: string }

/** The tokens of what is sent to a server for a caller; undefined where the server wants none. */
export function identityOfCaller(sign: SignIdentity, config: ServerConfig, who: CallerIdentity): Identify | undefined {
  const aud = audienceOf(config)
  if (aud === null) return undefined
  const claims = { aud, ...claimsOf(who) }
  return () => sign(claims)
}

/** The tokens of what we ask a server on our own account: what it offers, mostly. */
export function identityOfHouse(sign: SignIdentity | undefined, config: ServerConfig): Identify | undefined {
  const aud = audienceOf(config)
  return aud === null || sign === undefined ? undefined : () => sign({ aud, sub: 'gatehouse', account: 'gatehouse' })
}

/** A name that no account has is marked as one: with the key of an application anybody may be named, account ids too. */
function claimsOf({ principal, gateway, tool }: CallerIdentity): JsonObject {
  const { userId, accountId, kind, role, groups, clientId, actors = [] } = principal
  const act = toAct(actors)
  return {
    sub: accountId ?? `user:${userId}`,
    user: userId,
    account: kind,
    groups: [...groups],
    ...(role === null ? {} : { role }),
    gateway,
    ...(tool === undefined ? {} : { tool }),
    ...(clientId === null ? {} : { client: clientId }),
    ...(act === null ? {} : { act }),
  }
}

/** RFC 8693 §4.1: who acts now, and inside it who acted before. */
function toAct(actors: readonly string[]): JsonObject | null {
  return actors.reduceRight<JsonObject | null>((inner, sub) => (inner === null ? { sub } : { sub, act: inner }), null)
}
