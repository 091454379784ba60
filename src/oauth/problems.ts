import type { ProblemKind } from '#kernel'

export const INVALID_TOKEN = {
  code: 'oauth/invalid-token',
  status: 401,
  title: 'The access token is not valid',
} as const satisfies ProblemKind
export const INSUFFICIENT_SCOPE = {
  code: 'oauth/insufficient-scope',
  status: 403,
  title: 'The access token lacks a scope',
} as const satisfies ProblemKind
export const NOT_LET_IN = {
  code: 'oauth/not-let-in',
  status: 403,
  title: 'The account may not be used like this',
} as const satisfies ProblemKind
export const NO_SUCH_GRANT = {
  code: 'oauth/no-such-grant',
  status: 404,
  title: 'There is no such connected client',
} as const satisfies ProblemKind
export const BAD_CLIENT = {
  code: 'oauth/bad-client',
  status: 400,
  title: 'The OAuth client cannot be like this',
} as const satisfies ProblemKind
export const NO_SUCH_CLIENT = {
  code: 'oauth/no-such-client',
  status: 404,
  title: 'There is no such OAuth client',
} as const satisfies ProblemKind
export const BAD_DEVICE_CODE = {
  code: 'oauth/bad-device-code',
  status: 404,
  title: 'The device code is not valid',
} as const satisfies ProblemKind
