import type { ProblemKind } from '#kernel'

/** Every reason for which the API itself refuses a request, most of them before a room has seen it. */
export const INVALID_REQUEST = {
  code: 'http/invalid-request',
  status: 400,
  title: 'The request is not as described',
} as const satisfies ProblemKind
export const NOT_JSON = {
  code: 'http/not-json',
  status: 400,
  title: 'The body is not JSON',
} as const satisfies ProblemKind
export const FORBIDDEN_ORIGIN = {
  code: 'http/forbidden-origin',
  status: 403,
  title: 'This Host or Origin is not allowed',
} as const satisfies ProblemKind
export const NO_SUCH_ROUTE = {
  code: 'http/no-such-route',
  status: 404,
  title: 'There is nothing here',
} as const satisfies ProblemKind
export const WRONG_METHOD = {
  code: 'http/wrong-method',
  status: 405,
  title: 'This method is not used here',
} as const satisfies ProblemKind
export const BODY_TOO_LARGE = {
  code: 'http/body-too-large',
  status: 413,
  title: 'The body is larger than the limit',
} as const satisfies ProblemKind
export const WRONG_CONTENT_TYPE = {
  code: 'http/wrong-content-type',
  status: 415,
  title: 'The body must be JSON',
} as const satisfies ProblemKind
export const INTERNAL = {
  code: 'http/internal',
  status: 500,
  title: 'Something went wrong here',
} as const satisfies ProblemKind
/** Answered by `/readyz` with 503; `reasons` says in words what is missing. */
export const NOT_READY = {
  code: 'http/not-ready',
  status: 503,
  title: 'The house cannot serve now',
} as const satisfies ProblemKind
/** Raised by the client, when the answer is no Problem. */
export const STRANGE_ANSWER = {
  code: 'http/strange-answer',
  status: 502,
  title: 'The answer is not from a Gatehouse',
} as const satisfies ProblemKind
export const NO_ANSWER = {
  code: 'http/no-answer',
  status: 503,
  title: 'The house does not answer',
} as const satisfies ProblemKind
