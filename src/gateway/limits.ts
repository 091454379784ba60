/** Every maximum and wait of the face in one place. All times are milliseconds. */
export const DEFAULT_LIMITS = {
  bodyBytes: 4 * 1024 * 1024,
  /** All large bodies together whose requests are not answered yet. */
  bodyBytesTotal: 256 * 1024 * 1024,
  /** Levels of nesting in a request body. */
  bodyDepth: 64,
  batchMessages: 50,
  /** Definitions on one page of a list. */
  pageSize: 1000,
  /** How long a modern client may keep a list; it hears of changes earlier when it listens. */
  listTtlMs: 10_000,
  /**
   * A call without a word for this long is turned into an event stream, so that proxies keep the connection. At 0 every
   * answer to a session-era client that takes one is a stream, which can be resumed.
   */
  silenceMs: 5_000,
  keepAliveMs: 15_000,
  /** Unsent bytes of one stream after which progress and log messages are dropped. */
  backlogBytes: 1024 * 1024,
  /** How long a session-era stream that lost its connection waits for the client to resume it. */
  resumeMs: 30_000,
  resumeEvents: 256,
  resumeBytes: 1024 * 1024,
  resumeBytesTotal: 64 * 1024 * 1024,
  sessionIdleMs: 30 * 60_000,
  sessionsPerKey: 25_000,
  sessionsTotal: 50_000,
  callsPerSession: 256,
  streamsPerSession: 8,
  subscriptionsPerSession: 256,
  listensPerUser: 64,
  /** How long a client may take to answer one of our questions. */
  askMs: 10 * 60_000,
}
export type GatewayLimits = { readonly [Name in keyof typeof DEFAULT_LIMITS]: number }
