import type { Problem, ProblemKind } from '#kernel'
import type { RpcError } from '#tools'

/** Every reason for which this room refuses a request, with the JSON-RPC code that goes with it. */
export type RefusalKind = ProblemKind & { readonly rpc: number }

export const PARSE_ERROR = {
  code: 'gateway/not-json',
  status: 400,
  title: 'The body is not JSON',
  rpc: -32700,
} as const satisfies RefusalKind
export const INVALID_REQUEST = {
  code: 'gateway/not-json-rpc',
  status: 400,
  title: 'The body is not a JSON-RPC message',
  rpc: -32600,
} as const satisfies RefusalKind
export const INVALID_PARAMS = {
  code: 'gateway/invalid-params',
  status: 400,
  title: 'The parameters are not valid',
  rpc: -32602,
} as const satisfies RefusalKind
export const METHOD_NOT_FOUND = {
  code: 'gateway/no-such-method',
  status: 404,
  title: 'There is no such method',
  rpc: -32601,
} as const satisfies RefusalKind
export const HEADER_MISMATCH = {
  code: 'gateway/header-mismatch',
  status: 400,
  title: 'A header is missing or differs from the body',
  rpc: -32020,
} as const satisfies RefusalKind
export const MISSING_CAPABILITY = {
  code: 'gateway/missing-capability',
  status: 400,
  title: 'The client did not declare a capability that this needs',
  rpc: -32021,
} as const satisfies RefusalKind
export const UNSUPPORTED_VERSION = {
  code: 'gateway/unsupported-version',
  status: 400,
  title: 'This protocol version is not spoken here',
  rpc: -32022,
} as const satisfies RefusalKind
export const FORBIDDEN_ORIGIN = {
  code: 'gateway/forbidden-origin',
  status: 403,
  title: 'This Host or Origin is not allowed',
  rpc: -32000,
} as const satisfies RefusalKind
export const WRONG_HTTP_METHOD = {
  code: 'gateway/wrong-http-method',
  status: 405,
  title: 'This HTTP method is not used here',
  rpc: -32000,
} as const satisfies RefusalKind
export const NOT_ACCEPTABLE = {
  code: 'gateway/not-acceptable',
  status: 406,
  title: 'No acceptable response type',
  rpc: -32000,
} as const satisfies RefusalKind
export const BODY_TOO_LARGE = {
  code: 'gateway/body-too-large',
  status: 413,
  title: 'The body is larger than the limit',
  rpc: -32600,
} as const satisfies RefusalKind
export const WRONG_CONTENT_TYPE = {
  code: 'gateway/wrong-content-type',
  status: 415,
  title: 'The body must be JSON',
  rpc: -32000,
} as const satisfies RefusalKind
export const SESSION_NEEDED = {
  code: 'gateway/session-needed',
  status: 400,
  title: 'A session is needed',
  rpc: -32000,
} as const satisfies RefusalKind
export const NO_SUCH_SESSION = {
  code: 'gateway/no-such-session',
  status: 404,
  title: 'There is no such session',
  rpc: -32001,
} as const satisfies RefusalKind
export const STREAM_GONE = {
  code: 'gateway/stream-gone',
  status: 410,
  title: 'This stream can no longer be resumed',
  rpc: -32000,
} as const satisfies RefusalKind
export const TOO_MANY = {
  code: 'gateway/too-many',
  status: 429,
  title: 'Too many at once',
  rpc: -32000,
} as const satisfies RefusalKind
export const LOOP = {
  code: 'gateway/loop',
  status: 508,
  title: 'This house calls itself',
  rpc: -32000,
} as const satisfies RefusalKind
export const CLOSING = {
  code: 'gateway/closing',
  status: 503,
  title: 'The gateway is stopping',
  rpc: -32000,
} as const satisfies RefusalKind

const RPC_CODES: ReadonlyMap<string, number> = new Map<string, number>(
  [
    PARSE_ERROR,
    INVALID_REQUEST,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    HEADER_MISMATCH,
    MISSING_CAPABILITY,
    UNSUPPORTED_VERSION,
    BODY_TOO_LARGE,
    NO_SUCH_SESSION,
  ].map((kind) => [kind.code, kind.rpc] as const),
)

/** A problem as a JSON-RPC error object: its text for people, its stable code and extra fields in `data`. */
export function rpcErrorOf(problem: Problem): RpcError {
  const { code, status, title } = problem.kind
  return {
    code: RPC_CODES.get(code) ?? -32000,
    message: problem.message,
    data: { ...problem.extra, type: `urn:problem:${code}`, title, status },
  }
}

export const INTERNAL_ERROR: RpcError = {
  code: -32603,
  message: 'The gateway failed to handle this request. Its log has the reason; try again or tell its operator.',
}
