import type { Role } from '#identity'
import type { JsonObject } from '#kernel'
import type { LoginFactor } from '#login'

/**
 * What the pages ask of the rooms below them, in the pages' words: accounts and their factors, browser sessions, and
 * the authorization server. A refusal that a person can do something about is thrown as a Problem; its detail is shown.
 */

export type Account = {
  readonly accountId: string
  readonly userId: string
  readonly name: string | null
  readonly role: Role
  readonly groups: readonly string[]
  readonly isActive: boolean
}

export type Factors = {
  readonly hasPassword: boolean
  readonly hasTotp: boolean
  readonly passkeys: readonly {
    readonly id: string
    readonly name: string
    readonly createdAt: number
    readonly lastUsedAt: number | null
  }[]
  readonly recoveryCodesLeft: number
}

/** Where an attempt comes from: guesses are counted per account and per address. */
export type From = { readonly address: string; readonly agent: string }

export type Accounts = {
  /** Null for an account that is gone or switched off. */
  find(accountId: string): Promise<Account | null>
  /** Also one that is switched off or was removed: its user id is never given to anybody else. */
  findByUserId(userId: string): Promise<Account | null>
  /** Makes a person, for one who comes from an identity source. Null when somebody has or had the user id. */
  createPerson(
    person: { userId: string; name: string | null; role: 'user' | 'guest' },
    by: string,
  ): Promise<{ accountId: string } | null>
  /** Replaces the groups and claims that this source gave, and no others. */
  takeOver(
    accountId: string,
    said: { source: string; groups: readonly string[]; claims: JsonObject; countsForMs: number },
  ): Promise<void>

  /** Whose setup link this is; null when it is used up, expired or was never made. */
  findSetup(token: string): Promise<{ accountId: string; userId: string; isFirstAdmin: boolean } | null>
  /** Uses the link up. False when somebody was faster. */
  endSetup(token: string): Promise<boolean>

  /** Constant work whether the user exists or not. Throws a Problem for a wrong pair, or while locked. */
  checkPassword(attempt: { userId: string; password: string; from: From }): Promise<{ accountId: string }>
  checkTotp(attempt: { accountId: string; code: string; from: From }): Promise<void>
  checkRecoveryCode(attempt: { accountId: string; code: string; from: From }): Promise<void>

  /** Looks up the code that a device shows. Throws a Problem for a wrong one, and after too many of them. */
  checkDeviceCode<T>(attempt: { accountId: string; from: From }, look: () => Promise<T | null>): Promise<T>

  factors(accountId: string): Promise<Factors>
  setPassword(accountId: string, password: string): Promise<void>
  /** A secret to be confirmed with its first code; until then nothing is in use. */
  beginTotp(accountId: string): Promise<{ secret: string; uri: string }>
  finishTotp(accountId: string, code: string): Promise<void>
  removeTotp(accountId: string): Promise<void>
  makeRecoveryCodes(accountId: string): Promise<readonly string[]>
  removePasskey(accountId: string, id: string): Promise<void>
  /** Options for the browser, and what must be handed back unread with its answer. */
  beginPasskey(accountId: string): Promise<Ceremony>
  finishPasskey(accountId: string, answer: { state: string; answer: unknown; name: string }): Promise<void>
  /** For a passkey alone (`null`), or as the second factor of one account. */
  beginPasskeySignIn(accountId: string | null): Promise<Ceremony>
  finishPasskeySignIn(answer: { state: string; answer: unknown; from: From }): Promise<{ accountId: string }>

  keys(userId: string): Promise<
    readonly {
      readonly id: string
      readonly name: string | null
      readonly gateways: readonly string[]
      readonly lastUsedAt: number | null
      readonly expiresAt: number | null
    }[]
  >
  /** Someone else's is "not found". */
  revokeKey(userId: string, id: string): Promise<void>
}

export type Ceremony = { readonly options: object; readonly state: string }

export type Session = {
  readonly id: string
  readonly accountId: string
  readonly factor: LoginFactor
  readonly signedInAt: number
  readonly lastSeenAt: number
  readonly address: string
  readonly agent: string
}

export type Sessions = {
  /** A new session with a new token, whatever the browser had before. */
  start(session: { accountId: string; factor: LoginFactor; from: From }): Promise<{ token: string; session: Session }>
  find(token: string): Promise<Session | null>
  list(accountId: string): Promise<readonly Session[]>
  /** Someone else's is "not found". */
  end(accountId: string, id: string): Promise<void>
  endOthers(accountId: string, keepId: string): Promise<void>
}

export type ConsentGateway = {
  readonly slug: string
  readonly title: string
  /** What its further scopes let a program do, in words. */
  readonly scopes: readonly { readonly scope: string; readonly allows: string }[]
}

/** What a program asks a person for. Its name and id are its own words. */
export type ConsentQuestion = {
  readonly clientId: string
  readonly clientName: string
  /** Exactly as it was registered and asked with. */
  readonly redirectUri: string
  readonly gateway: ConsentGateway | null
  readonly scopes: readonly string[]
  /** The person must prove anew who they are: sessions older than this do not count. */
  readonly signedInAfter: number | null
}

export type DeviceQuestion = Omit<ConsentQuestion, 'redirectUri' | 'signedInAfter'>

/** What the authorization server answers the browser with. */
export type Handed = { readonly location: string; readonly cookies: readonly string[] }

export type AuthorizationServer = {
  /** What waits under this id, in this browser; null when nothing does. */
  findInteraction(request: Request, uid: string): Promise<ConsentQuestion | null>
  allow(request: Request, answer: { uid: string; session: Session; account: Account }): Promise<Handed>
  deny(request: Request, uid: string): Promise<Handed>

  /** Null for a code that is unknown, answered or expired. */
  findDevice(userCode: string): Promise<DeviceQuestion | null>
  /** A device is answered once, whoever is faster; throws a Problem for all others. So does `denyDevice`. */
  allowDevice(answer: { userCode: string; session: Session; account: Account }): Promise<void>
  denyDevice(userCode: string): Promise<void>

  /** Programs that somebody signed in to from this browser are told that they signed out. */
  signOut(request: Request): Promise<void>

  grants(accountId: string): Promise<
    readonly {
      readonly grantId: string
      readonly name: string
      readonly gateways: readonly string[]
      readonly grantedAt: number
    }[]
  >
  /** Someone else's is "not found". */
  revokeGrant(accountId: string, grantId: string): Promise<void>

  /** Programs whose code or token came a second time, so that all their access was ended; newest first. */
  notices(accountId: string): Promise<
    readonly {
      readonly id: string
      readonly clientName: string
      readonly reused: string
      readonly address: string
      readonly at: number
    }[]
  >
  /** The person has read it. Someone else's stays. */
  dismissNotice(accountId: string, id: string): Promise<void>
}
