import type { JsonObject } from '#kernel'

export type Role = 'admin' | 'user' | 'guest'

/** One account as the rest of the house sees it. Immutable; a change of it is a new one in the next directory. */
export type Member = {
  readonly accountId: string
  /** How requests, keys, tokens and the audit trail name this account: an e-mail address, mostly. Never given to anyone else again. */
  readonly userId: string
  readonly kind: 'person' | 'system'
  /** System accounts carry no role: policy alone authorizes them. */
  readonly role: Role | null
  /** Names of groups, sorted. */
  readonly groups: readonly string[]
  /** What the upstream identity provider said, as far as it was mapped. */
  readonly claims: JsonObject
  readonly isActive: boolean
}

/** Everybody the house knows, at this moment, in memory. A change makes the next one, on every replica. */
export type Directory = {
  findByUserId(userId: string): Member | null
  findByAccountId(accountId: string): Member | null
  all(): readonly Member[]
}

/** Whom a request is made for and through what, with everything that a rule may look at. Immutable. */
export type Principal = {
  readonly userId: string
  /** `unknown`: a name that the holder of a key gave, and no account has. `local-admin`: the admin token of this machine. */
  readonly kind: Member['kind'] | 'unknown' | 'anonymous' | 'local-admin'
  readonly accountId: string | null
  readonly role: Role | null
  readonly groups: readonly string[]
  readonly claims: JsonObject
  /** The API key, or the grant of the OAuth client, that the request came with. It is the same after a token is refreshed. */
  readonly keyId: string | null
  readonly clientId: string | null
  /** OAuth clients that act one for the other by token exchange, the one that acts now first. */
  readonly actors?: readonly string[]
  /** Scopes of the access token; null where none limits the request (a key). */
  readonly scopes: readonly string[] | null
  /** Slugs the credential was made for, or `*`. */
  readonly gateways: readonly string[]
}
