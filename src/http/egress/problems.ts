import type { ProblemKind } from '#kernel'

/** Every reason for which the guarded way out refuses a request. Those of the API are in `contract/problems.ts`. */
export const BLOCKED_ADDRESS = {
  code: 'http/blocked-address',
  status: 403,
  title: 'This address may not be reached',
} as const satisfies ProblemKind
export const BAD_URL = {
  code: 'http/bad-url',
  status: 400,
  title: 'This URL cannot be used',
} as const satisfies ProblemKind
export const BAD_EXCEPTION = {
  code: 'http/bad-address-exception',
  status: 400,
  title: 'This is neither a host name nor an address range',
} as const satisfies ProblemKind
export const REFUSED_REDIRECT = {
  code: 'http/refused-redirect',
  status: 502,
  title: 'The server redirected to where we do not follow',
} as const satisfies ProblemKind
export const RESPONSE_TOO_LARGE = {
  code: 'http/response-too-large',
  status: 502,
  title: 'The response is larger than the limit',
} as const satisfies ProblemKind
