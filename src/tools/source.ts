import type { JsonObject } from '#kernel'
import type { Payload } from './payload.ts'

/**
 * The plug: whatever can offer tools is a `Source`. Inside the house everything speaks like the newest MCP revision
 * (2026-07-28): a call ends as complete, as "input required", as a task or as an error; a source whose server speaks
 * an older one translates. So each era is adapted once at each side and the pipeline between knows only one.
 */
export type Source = {
  /** Asks the server what it offers. Rejects with the reason in words when it cannot. */
  sync(signal: AbortSignal): Promise<Offer>
  /** Makes one leg of a call. A server's own JSON-RPC error is a reply; a Problem or Error is thrown when there was none. */
  call(call: SourceCall, port: CallerPort): Promise<Reply>
  /** Follows one resource for one caller session, until the returned function is called. Absent when the kind has none. */
  subscribe?(subscription: ResourceSubscription): Promise<() => Promise<void>>
  /** Hears when a task of one caller session changes, until the returned function is called. Absent when the kind has none. */
  followTask?(task: FollowedTask): Promise<() => Promise<void>>
  /** Passes on what a session-era client announced to all: `notifications/roots/list_changed`, `logging/setLevel`. */
  announce?(session: CallerSession, method: string, params: JsonObject): Promise<void>
  /** Ends everything that is held for this caller session: upstream sessions, parked calls, subscriptions. */
  endSession(sessionKey: string): Promise<void>
  /** What the source holds right now, for health pages and leak tests. */
  usage(): SourceUsage
  close(): Promise<void>
}

export type SourceUsage = { sessions: number; parkedCalls: number; processes: number; subscriptions: number }

/** What a source tells its owner between calls. */
export type SourceEvents = {
  /** The server said that a list changed, or the connection that would have said so was made anew. */
  listChanged(): void
  /** The server is gone or back, noticed outside a call; `reason` is in words. */
  connection(state: 'up' | 'down', reason: string): void
}

export type Era = 'modern' | 'legacy' | 'sse' | 'worker' | 'builtin'

/** All a server has, exactly as it said it: definitions keep unknown fields. */
export type Offer = {
  readonly era: Era
  readonly serverInfo: JsonObject
  readonly capabilities: JsonObject
  readonly instructions?: string
  readonly tools: readonly Definition[]
  readonly resources: readonly Definition[]
  readonly templates: readonly Definition[]
  readonly prompts: readonly Definition[]
}
/** A tool, prompt (`name`), resource (`uri`) or template (`uriTemplate`) as its server describes it. */
export type Definition = JsonObject

/**
 * Who calls, as a source may know it. Sources keep upstream sessions per `key`: nothing of one key is ever used for another.
 * For a session-era client the key is its session; for a modern client it stands for (account, client capabilities).
 */
export type CallerSession = {
  readonly key: string
  readonly era: 'legacy' | 'modern'
  readonly userId: string
  readonly clientInfo: JsonObject
  readonly clientCapabilities: JsonObject
  /** Present for a session-era client: where to say what belongs to no call (it may have no open stream: then `ask` rejects). */
  readonly outside?: {
    notify(method: string, params: JsonObject): void
    ask(method: string, params: JsonObject, signal: AbortSignal): Promise<JsonObject>
  }
}

export type CallMethod =
  | 'tools/call'
  | 'resources/read'
  | 'prompts/get'
  | 'completion/complete'
  | 'tasks/get'
  | 'tasks/update'
  | 'tasks/cancel'

export type SourceCall = {
  readonly method: CallMethod
  /** In the server's own names. Holds no era envelope: no `_meta` keys `io.modelcontextprotocol/*`, no progressToken, no requestState. */
  readonly params: JsonObject
  /** Answers to an earlier `input` reply of this same source, with the state it gave. */
  readonly inputResponses?: JsonObject
  readonly state?: string
  readonly session: CallerSession
  readonly wantsProgress: boolean
  /** RFC 5424 name; absent = send no log messages. */
  readonly logLevel?: string
  /** `may`: the caller understands tasks; `must`: it asked for one (2025-11-25 `params.task`), `ttlMs` if it said. */
  readonly task?: { readonly mode: 'may' | 'must'; readonly ttlMs?: number }
  readonly signal: AbortSignal
  /** Milliseconds without any sign of life after which the call is given up. */
  readonly timeoutMs: number
  /** `Mcp-Param-*` headers of a modern caller, to be passed on to a modern server. */
  readonly paramHeaders?: Readonly<Record<string, string>>
  readonly identity?: Identify
  readonly trace?: { readonly traceparent?: string; readonly tracestate?: string; readonly baggage?: string }
}

/**
 * Makes the token that tells the server who calls, anew for each request: it ends within a minute. Absent where the
 * server gets none. It is one caller's, so it goes out with what is sent for them and with nothing else.
 */
export type Identify = () => string

/** What a source says to the caller while the call runs. Nothing sent after the reply arrives. */
export type CallerPort = {
  /** `notifications/progress` params without `progressToken`. */
  progress(params: JsonObject): void
  /** `notifications/message` params. */
  message(params: JsonObject): void
  /** Any other notification that arrived on the call's own stream. */
  notify(method: string, params: JsonObject): void
}

export type AskRequest = { readonly method: string; readonly params?: JsonObject }

export type Reply =
  | { readonly kind: 'complete'; readonly result: Payload; readonly isError: boolean }
  /** `pinned`: the rest of the call lives in this process, so the retry must come back to this replica. */
  | {
      readonly kind: 'input'
      readonly requests: Readonly<Record<string, AskRequest>>
      readonly state?: string
      readonly pinned: boolean
    }
  /** Modern task result: `{taskId,status,createdAt,lastUpdatedAt,ttlMs,pollIntervalMs?}` with the server's own task id. */
  | { readonly kind: 'task'; readonly task: JsonObject }
  | { readonly kind: 'error'; readonly error: RpcError }

/** A JSON-RPC 2.0 error object. */
export type RpcError = { readonly code: number; readonly message: string; readonly data?: unknown }

export type ResourceSubscription = {
  readonly session: CallerSession
  readonly uri: string
  readonly identity?: Identify
  /** `notifications/resources/updated` params. */
  onUpdated(params: JsonObject): void
}

export type FollowedTask = {
  readonly session: CallerSession
  /** The server's own. */
  readonly taskId: string
  readonly identity?: Identify
  /** The server said that it changed, or what would have said so was lost: what it is now, `tasks/get` tells. */
  onChanged(): void
}
