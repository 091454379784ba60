import type { ProblemKind } from '#kernel'

/** Every reason for which the tools room refuses or fails a call. */
export const UNAUTHENTICATED = {
  code: 'tools/unauthenticated',
  status: 401,
  title: 'Authentication is needed',
} as const satisfies ProblemKind
export const NO_SUCH_GATEWAY = {
  code: 'tools/no-such-gateway',
  status: 404,
  title: 'There is no such gateway',
} as const satisfies ProblemKind
export const NOT_ALLOWED = {
  code: 'tools/not-allowed',
  status: 403,
  title: 'This is not allowed',
} as const satisfies ProblemKind
/** RFC 6750 §3.1 `insufficient_scope`, for one tool: the same token is good for others. */
export const SCOPE_NEEDED = {
  code: 'tools/scope-needed',
  status: 403,
  title: 'The access token lacks a scope for this tool',
} as const satisfies ProblemKind
export const UNREACHABLE = {
  code: 'tools/upstream-unreachable',
  status: 502,
  title: 'The server could not be reached',
} as const satisfies ProblemKind
export const BROKEN_REPLY = {
  code: 'tools/upstream-broken',
  status: 502,
  title: 'The server answered with something that is not MCP',
} as const satisfies ProblemKind
/** A server that says no to one caller is not out of order. */
export const CLIENT_REFUSED = {
  code: 'tools/client-refused',
  status: 502,
  title: 'The server refused to begin a session',
} as const satisfies ProblemKind
export const TOO_LARGE = {
  code: 'tools/too-large',
  status: 413,
  title: 'This is larger than the limit',
} as const satisfies ProblemKind
export const LISTS_TOO_MUCH = {
  code: 'tools/lists-too-much',
  status: 502,
  title: 'The server lists more than can be taken over',
} as const satisfies ProblemKind
export const TIMED_OUT = {
  code: 'tools/timed-out',
  status: 504,
  title: 'The server did not answer in time',
} as const satisfies ProblemKind
export const CANCELLED = {
  code: 'tools/cancelled',
  status: 499,
  title: 'The call was cancelled',
} as const satisfies ProblemKind
export const OVERLOADED = {
  code: 'tools/overloaded',
  status: 503,
  title: 'Too many calls at once',
} as const satisfies ProblemKind
export const CIRCUIT_OPEN = {
  code: 'tools/circuit-open',
  status: 503,
  title: 'The server failed repeatedly and is given a rest',
} as const satisfies ProblemKind
export const SERVER_REMOVED = {
  code: 'tools/server-removed',
  status: 410,
  title: 'The server was removed during the call',
} as const satisfies ProblemKind
export const NEEDS_CONSENT = {
  code: 'tools/needs-consent',
  status: 401,
  title: 'The server needs a sign-in',
} as const satisfies ProblemKind
export const INPUT_EXPIRED = {
  code: 'tools/input-expired',
  status: 410,
  title: 'This call no longer waits for an answer',
} as const satisfies ProblemKind
export const BLOCKED_ADDRESS = {
  code: 'tools/blocked-address',
  status: 403,
  title: 'This address may not be reached',
} as const satisfies ProblemKind
export const KEY_REUSED = {
  code: 'tools/idempotency-key-reused',
  status: 409,
  title: 'The idempotency key belongs to another call',
} as const satisfies ProblemKind
export const OUTCOME_UNKNOWN = {
  code: 'tools/outcome-unknown',
  status: 409,
  title: 'Whether the call took effect is not known',
} as const satisfies ProblemKind
export const AUDIT_DOWN = {
  code: 'tools/audit-down',
  status: 503,
  title: 'The audit log cannot be written',
} as const satisfies ProblemKind
export const STILL_RUNNING = {
  code: 'tools/still-running',
  status: 409,
  title: 'The first call with this key is still running',
} as const satisfies ProblemKind
export const STORE_DOWN = {
  code: 'tools/store-down',
  status: 503,
  title: 'The store cannot be reached',
} as const satisfies ProblemKind
export const NAME_TAKEN = {
  code: 'tools/name-taken',
  status: 409,
  title: 'This name is already used',
} as const satisfies ProblemKind
export const NOT_FOUND = {
  code: 'tools/not-found',
  status: 404,
  title: 'There is no such thing',
} as const satisfies ProblemKind
export const DECLARED_IN_FILE = {
  code: 'tools/declared-in-file',
  status: 409,
  title: 'This is declared in the config file',
} as const satisfies ProblemKind
/** REST only: the call was refused before a server saw it, or by its server's protocol. */
export const CALL_REFUSED = {
  code: 'tools/call-refused',
  status: 400,
  title: 'This call cannot be made',
} as const satisfies ProblemKind
export const CALL_FAILED = {
  code: 'tools/call-failed',
  status: 502,
  title: 'The call failed on its way',
} as const satisfies ProblemKind
export const RATE_LIMITED = {
  code: 'tools/rate-limited',
  status: 429,
  title: 'Too many calls in this time',
} as const satisfies ProblemKind
