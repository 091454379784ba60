import { Problem } from '#kernel'
import { hashKey, judgeForm, MAX_KEY_CHARS } from './key-text.ts'
import type { Directory, Principal } from './principal.ts'
import {
  ACCOUNT_INACTIVE,
  BAD_USER,
  FORBIDDEN,
  KEY_EXPIRED,
  KEY_REVOKED,
  UNAUTHENTICATED,
  USER_NEEDED,
} from './problems.ts'
import type { ApiKey } from './schema.ts'
import { toPrincipal } from './accounts/directory.ts'
import { isUserId } from './user-id.ts'

export type Credentials = {
  /** The `Authorization` header as sent: `Bearer <key>` or the bare key. */
  readonly authorization?: string | undefined
  /** The user header as sent. */
  readonly userId?: string | undefined
  /** Slug of the gateway to be used. */
  readonly gateway: string
}
/** `keyId`: the key that was sent, where it is one of ours. */
export type Refused = { readonly ok: false; readonly problem: Problem; readonly keyId: string | null }
/** `gateways`: all that the key may be used at; "*" stands for every one. */
export type Authentication =
  | {
      readonly ok: true
      readonly keyId: string
      readonly userId: string
      readonly gateways: readonly string[]
      readonly principal: Principal
    }
  | Refused
/** `isAdmin`: by role; whoever is let in without it may do what policy permits. */
export type AdminAuthentication =
  | {
      readonly ok: true
      readonly keyId: string
      readonly userId: string | null
      readonly isAdmin: boolean
      readonly principal: Principal
    }
  | (Refused & { readonly userId?: string | null })

/** `source`: where the accounts come from that this client may see and change. */
export type ScimAuthentication = { readonly ok: true; readonly keyId: string; readonly source: string } | Refused

/** All keys as they are now; never changes. A change makes the next one. */
export type Keyring = {
  readonly size: number
  /** Whom the request is made for, or why it is refused: one hash and one look-up, no waiting. */
  authenticate(credentials: Credentials): Authentication
  /** Like `authenticate`, for the admin API: whose key it is and whether they are an admin. */
  authenticateAdmin(credentials: { readonly authorization?: string | undefined }): AdminAuthentication
  /** Like `authenticate`, for SCIM. */
  authenticateScim(credentials: { readonly authorization?: string | undefined }): ScimAuthentication
}

export type HashedKey = { readonly hash: string; readonly key: ApiKey }

type Entry = {
  readonly id: string
  readonly userId: string | null
  readonly gateways: readonly string[]
  readonly mayUse: ReadonlySet<string>
  readonly role: ApiKey['role']
  readonly scimSource: string
  readonly isRevoked: boolean
  readonly expiresAt: number
  /** Whom a key is for that is bound to one user: the same every time, as long as keys and accounts are these. */
  accepted: Authentication | undefined
}

export type KeyringDeps = {
  /** Whose keys they are: an inactive account's key opens nothing. */
  readonly directory: Directory
  now(): number
  /** Told of each key that was accepted. */
  onUse(keyId: string, at: number): void
}

/** All these keys, ready to be asked. It never changes; a change of keys is a new keyring. */
export function buildKeyring(keys: readonly HashedKey[], deps: KeyringDeps): Keyring {
  const entries = new Map(keys.map(({ hash, key }) => [hash, toEntry(key)]))
  return {
    size: entries.size,
    authenticate: (credentials) => {
      const entry = findEntry(entries, credentials.authorization, deps)
      return 'ok' in entry ? entry : admit(entry, credentials, deps.directory)
    },
    authenticateAdmin: ({ authorization }) => {
      const entry = findEntry(entries, authorization, deps)
      if ('ok' in entry) return entry
      return admitAdmin(entry, deps.directory)
    },
    authenticateScim: ({ authorization }) => {
      const entry = findEntry(entries, authorization, deps)
      if ('ok' in entry) return entry
      if (entry.role === 'scim') return { ok: true, keyId: entry.id, source: entry.scimSource }
      return refuse(FORBIDDEN, 'This API key may not be used for SCIM; make one with `key create --scim`.', entry.id)
    },
  }
}

function toEntry(key: ApiKey): Entry {
  return {
    id: key.id,
    userId: key.userId,
    gateways: key.gateways,
    mayUse: new Set(key.gateways),
    role: key.role,
    // Keys of one name are one client, so that a key can be replaced by the next.
    scimSource: `scim:${key.name ?? key.id}`,
    isRevoked: key.revokedAt !== null,
    expiresAt: key.expiresAt ?? Infinity,
    accepted: undefined,
  }
}

/** The key that was sent, if it is valid now. */
function findEntry(
  entries: ReadonlyMap<string, Entry>,
  authorization: string | undefined,
  deps: KeyringDeps,
): Entry | Refused {
  const text = keyTextOf(authorization)
  if (text === '') return refuse(UNAUTHENTICATED, `No API key was sent. ${HOW}`)
  if (text.length > MAX_KEY_CHARS) return refuse(UNAUTHENTICATED, `What was sent is too long to be an API key. ${HOW}`)
  // Looked up by its hash: how long that takes tells nothing about the keys there are.
  const entry = entries.get(hashKey(text))
  if (!entry) return refuse(UNAUTHENTICATED, unknownKey(text))
  // Whoever sent it holds the key itself, and may know what became of it.
  if (entry.isRevoked) return refuse(KEY_REVOKED, `The API key ${entry.id} was revoked. ${ASK}`, entry.id)
  const now = deps.now()
  if (entry.expiresAt <= now)
    return refuse(
      KEY_EXPIRED,
      `The API key ${entry.id} expired at ${new Date(entry.expiresAt).toISOString()}. ${ASK}`,
      entry.id,
    )
  deps.onUse(entry.id, now)
  return entry
}

const HOW = 'Send the header "Authorization: Bearer <key>" with a key that begins with "gh_".'
const ASK = 'Ask an administrator for a new one (`gatehouse key create`).'

/** RFC 9110 §11.1: the scheme's name is in any case. Without a scheme, the whole value is the key. */
export function keyTextOf(authorization: string | undefined): string {
  if (authorization === undefined) return ''
  if (authorization.startsWith('gh_')) return authorization
  return authorization.replace(/^bearer(?: +|$)/i, '').trim()
}

function unknownKey(text: string): string {
  switch (judgeForm(text)) {
    case 'not-a-key':
      return `What was sent is not an API key of this house. ${HOW}`
    case 'mistyped':
      return 'The API key is mistyped or cut off: its checksum does not fit. Copy it once more, whole.'
    case 'well-formed':
      return `The API key is not valid here. Check that it was made by this house. ${ASK}`
  }
}

function admit(entry: Entry, { gateway, userId }: Credentials, directory: Directory): Authentication {
  if (entry.role === 'scim')
    return refuse(FORBIDDEN, 'This API key is for SCIM and may not be used at a gateway.', entry.id)
  if (!entry.mayUse.has(gateway) && !entry.mayUse.has('*'))
    return refuse(FORBIDDEN, `This API key may not be used at the gateway "${gateway.slice(0, 63)}".`, entry.id)
  if (entry.userId === null) return admitNamed(entry, userId, directory)
  if (userId === undefined || userId === '' || userId === entry.userId)
    return (entry.accepted ??= accept(entry, entry.userId, directory))
  return refuse(
    FORBIDDEN,
    'This API key belongs to one user and may not be used for another; leave the user header out, or name its own user.',
    entry.id,
  )
}

/** The key is bound to no user, so the request names one. */
function admitNamed(entry: Entry, userId: string | undefined, directory: Directory): Authentication {
  if (userId === undefined || userId === '')
    return refuse(
      USER_NEEDED,
      'This API key is bound to no user; say for whom with the header "Gatehouse-User-ID".',
      entry.id,
    )
  if (isUserId(userId)) return accept(entry, userId, directory)
  return refuse(
    BAD_USER,
    'The user header holds something that cannot name a user; use 1 to 256 printable characters, such as an e-mail address.',
    entry.id,
  )
}

function accept(entry: Entry, userId: string, directory: Directory): Authentication {
  const { id: keyId, gateways } = entry
  const principal = toPrincipal(directory, { userId, keyId, gateways })
  return principal === null ? inactive(entry) : { ok: true, keyId, userId, gateways, principal }
}

/** Who an admin key acts as that is bound to no user, as the admin token of this machine does. */
export const LOCAL_ADMIN = 'admin'

/**
 * Only a key with the role "admin" is for the admin API, whatever its account may do. The role of the account counts as
 * well: an admin who is made a user keeps with all keys what policy permits, and nothing else, and whoever has no account
 * has no role.
 */
function admitAdmin(entry: Entry, directory: Directory): AdminAuthentication {
  const { id: keyId, userId, gateways } = entry
  const member = userId === null ? null : directory.findByUserId(userId)
  if (member?.isActive === false) return { ...inactive(entry), userId }
  if (entry.role !== 'admin') return { ...refuse(FORBIDDEN, NOT_FOR_ADMINS, keyId), userId }
  if (userId !== null && member === null) return { ...refuse(FORBIDDEN, NO_ACCOUNT, keyId), userId }
  const { kind, accountId, role, groups, claims } = member ?? ADMIN_OF_NOBODY
  const through = { keyId, gateways, clientId: null, scopes: null }
  const principal = { userId: userId ?? LOCAL_ADMIN, kind, accountId, role, groups, claims, ...through }
  return { ok: true, keyId, userId, isAdmin: role === 'admin', principal }
}

const NOT_FOR_ADMINS = 'This API key may not be used for the admin API; use one made with `key create --admin`.'
const NO_ACCOUNT = 'The admin API takes keys of accounts, and no account has the user id of this key.'
/** A key that is bound to nobody. */
const ADMIN_OF_NOBODY = { kind: 'unknown', accountId: null, role: 'admin', groups: [], claims: {} } as const

function inactive(entry: Entry): Refused {
  return refuse(ACCOUNT_INACTIVE, 'The account that this API key is used for is not active.', entry.id)
}

function refuse(kind: Problem['kind'], detail: string, keyId: string | null = null): Refused {
  return { ok: false, problem: new Problem(kind, detail), keyId }
}
