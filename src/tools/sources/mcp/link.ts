import type { Json, JsonObject } from '#kernel'
import type { Payload } from '../../payload.ts'
import type { Identify, RpcError } from '../../source.ts'

/**
 * One JSON-RPC conversation with a server of the session era (2025-11-25 and older), whatever carries it: streamable
 * HTTP, HTTP+SSE or a child process. A link knows framing, ids on the wire and its own death; sessions, asks and
 * their meaning are above it.
 */
export type Link = {
  /**
   * Sends a request and resolves with its response. Aborting `signal` sends `notifications/cancelled` and rejects.
   * Messages that arrive on the request's own stream go to `onMessage`; where the carrier has no such stream
   * (a child process, HTTP+SSE) they go to the link's `LinkEvents.message`.
   */
  request(request: LinkRequest): Promise<LinkResponse>
  /** Sends a notification or the response to a server's request. */
  send(
    message: { method: string; params?: JsonObject } | { id: Json; result: JsonObject } | { id: Json; error: RpcError },
  ): Promise<void>
  /** Ends the conversation: DELETE for an HTTP session, stop for a process. Never rejects. */
  close(): Promise<void>
  /** Resolves with the reason in words when the link is dead, however it died. */
  readonly closed: Promise<string>
}

export type LinkRequest = {
  readonly method: string
  readonly params: JsonObject
  readonly signal: AbortSignal
  /** Most bytes of its answer, below what the link takes of any: what is over them is not kept. */
  readonly maxBytes?: number | undefined
  /** For whom it is made; what nobody asked for is ours, or that of the link's own caller. */
  readonly identity?: Identify | undefined
  /** The JSON-RPC id is the link's own business; the progress token, if any, is already in `params._meta`. */
  onMessage?(message: ServerMessage): void
}

/** The most that an answer may have which is the answer to any of these; without them there is no such limit. */
export function mostBytes(waiting: Iterable<{ readonly maxBytes: number }>): number {
  let most = 0
  for (const { maxBytes } of waiting) {
    if (maxBytes === Infinity) return Infinity
    most = Math.max(most, maxBytes)
  }
  return most || Infinity
}

export type LinkResponse = { readonly result: Payload; readonly isError: boolean } | { readonly error: RpcError }

/** A request (`id` present) or notification that the server sent. */
export type ServerMessage = { readonly id?: string | number; readonly method: string; readonly params: JsonObject }

export type LinkEvents = {
  /** A message on no request's stream. */
  message(message: ServerMessage): void
}

/**
 * Opens links of one kind to one server. `key` only names the link in logs; `identity` is that of the caller to whom the
 * link belongs alone, for what is sent on it outside of requests.
 */
export type OpenLink = (open: {
  key: string
  signal: AbortSignal
  events: LinkEvents
  identity?: Identify | undefined
}) => Promise<Link>
