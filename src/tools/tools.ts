import type { Principal } from '#identity'
import type { JsonObject, Problem } from '#kernel'
import type { Payload } from './payload.ts'
import type { AskRequest, CallerPort, CallerSession, CallMethod, Definition, RpcError } from './source.ts'

/**
 * What a face (MCP in both eras, REST, CLI) can do with tools. A face translates its protocol to these verbs and back;
 * it decides, checks and records nothing by itself.
 */
export type Tools = {
  /**
   * Lets a caller in at one gateway, or throws a Problem: 401 without valid credentials, 403 where the key may not be
   * used like this, 404 for an unknown gateway; the audit trail has that too. Every other verb needs the admission.
   */
  admit(request: { gateway: string; credentials: Credentials; face: 'mcp' | 'rest' }): Admission
  /** Whether clients of this gateway may sign people in (OAuth); false for an unknown one. */
  takesTokens(gateway: string): boolean
  /** Why whoever was admitted so may not go on, or null while they may. */
  whyNoLonger(request: { gateway: string; credentials: Credentials }): Problem | null
  /** Tells when keys were made or ended: ask `whyNoLonger` for everything that is open. */
  onAccessChanged(listener: () => void): () => void
  /** What this caller sees of the gateway as a whole. */
  describe(admission: Admission): GatewayFace
  /** What this caller may use, in a stable order, always within the list deadline. */
  list(admission: Admission, kind: ListKind, session: CallerSession): Promise<Listing>
  /** One tool as `list` would show it to this caller; null where it would not. At once, unless hooks have to be asked. */
  find(admission: Admission, name: string): Definition | null | Promise<Definition | null>
  /** Throws a Problem that names the scopes, when this caller's access token lacks one for this tool. */
  requireScopes(admission: Admission, name: string): Promise<void>
  /** The one path of every call. Resolves with an outcome for everything that a protocol can carry; throws only bugs. */
  call(request: CallRequest): Promise<CallOutcome>
  /** Follows one resource; the returned function ends it. Throws a Problem when it may not be read. */
  subscribe(subscription: {
    admission: Admission
    session: CallerSession
    uri: string
    onUpdated(params: JsonObject): void
  }): Promise<() => Promise<void>>
  /**
   * Follows one of the caller's tasks until it ends: tells of each change what `tasks/get` would answer. `known` is what
   * the caller has just been told; then it is looked at only when its server says that it changed. Without, they are
   * told at once, and it is looked at in its own interval too. The returned function ends it. Throws a Problem when the
   * caller has no such task.
   */
  followTask(task: {
    admission: Admission
    session: CallerSession
    taskId: string
    known?: JsonObject
    onTask(task: JsonObject): void
  }): Promise<() => Promise<void>>
  /** Tells when a list of this gateway changed for this caller; told once per change. */
  onListChanged(admission: Admission, listener: (kind: ListChange) => void): () => void
  /** Passes an announcement of a session-era client to the servers it has sessions with. */
  announce(session: CallerSession, method: string, params: JsonObject): Promise<void>
  /** Ends everything that is held for a session. */
  endSession(sessionKey: string): Promise<void>
}

export type Credentials = {
  /** The `Authorization` header as sent: `Bearer <key>` or the bare key. */
  readonly authorization?: string | undefined
  /** `Gatehouse-User-ID` or `Arcade-User-ID`. */
  readonly userId?: string | undefined
  readonly remoteAddress: string
}

/** Proof that `admit` was passed. Short-lived: faces ask again for every request. */
export type Admission = {
  readonly gateway: string
  /** The account the call is made for; `anonymous` or `open:NAME` where the gateway has `auth = "none"`. */
  readonly userId: string
  readonly keyId: string | null
  /** Slugs the credential was made for, or `*`. */
  readonly gateways: readonly string[]
  /** Whom the request is made for, with everything that a rule may look at. */
  readonly principal: Principal
  /** By which face and from where they came in. */
  readonly from: { readonly face: string; readonly remoteAddress: string | null }
}

export type GatewayFace = {
  readonly slug: string
  readonly title: string
  readonly description?: string
  readonly instructions?: string
  /** Union of what the servers behind offer, in the modern shape: tools, resources, prompts, completions, logging, extensions. */
  readonly capabilities: JsonObject
}

export type ListKind = 'tools' | 'resources' | 'templates' | 'prompts'
export type ListChange = 'tools' | 'resources' | 'prompts'

export type Listing = {
  /** Definitions under the gateway's names. The array is shared and frozen; its JSON is cached by the pages. */
  readonly items: readonly Definition[]
  /** Servers whose part is missing or old, with the reason in words; empty when all is well. */
  readonly missing: readonly { server: string; state: string; reason: string; retryAt: number | null }[]
}

export type CallRequest = {
  readonly admission: Admission
  readonly face: 'mcp' | 'rest' | 'cli'
  readonly method: CallMethod
  /** As the client sent them, in the gateway's names, with its `_meta` less the era envelope and the progress token. */
  readonly params: JsonObject
  readonly session: CallerSession
  readonly port: CallerPort
  /**
   * Asks the client in mid-call (session-era faces only). With it a call never ends as `input`; without it an
   * `input` outcome goes back to the client, whose retry brings `inputResponses` and `requestState`.
   */
  ask?: (
    requests: Readonly<Record<string, AskRequest>>,
    signal: AbortSignal,
  ) => Promise<Readonly<Record<string, JsonObject>>>
  readonly inputResponses?: JsonObject
  readonly requestState?: string
  readonly wantsProgress: boolean
  readonly logLevel?: string
  /** `isHeld`: it was held as a task until it was approved, and is made now. */
  readonly task?: { readonly mode: 'may' | 'must'; readonly ttlMs?: number; readonly isHeld?: boolean }
  /** Same key and same arguments: the first outcome again, never a second execution. */
  readonly idempotencyKey?: string
  readonly paramHeaders?: Readonly<Record<string, string>>
  readonly trace?: { readonly traceparent?: string; readonly tracestate?: string; readonly baggage?: string }
  readonly signal: AbortSignal
  /** Size of the request as it arrived, for the audit. */
  readonly requestBytes?: number
}

/** Task ids and request states in outcomes are the house's own: opaque, bound to the caller. */
export type CallOutcome =
  | { readonly kind: 'complete'; readonly result: Payload }
  | { readonly kind: 'input'; readonly requests: Readonly<Record<string, AskRequest>>; readonly requestState: string }
  | { readonly kind: 'task'; readonly task: JsonObject }
  | { readonly kind: 'error'; readonly error: RpcError }
