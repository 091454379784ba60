import type { ProblemKind } from '#kernel'

export const BAD_GRANT = {
  code: 'policy/bad-grant',
  status: 400,
  title: 'The grant cannot be made like this',
} as const satisfies ProblemKind
export const NO_SUCH_GRANT = {
  code: 'policy/no-such-grant',
  status: 404,
  title: 'There is no such grant',
} as const satisfies ProblemKind
/** The gateway is configured with `access = "all"`. */
export const OPEN_TO_ALL = {
  code: 'policy/open-to-all',
  status: 409,
  title: 'The gateway is open to everybody it admits',
} as const satisfies ProblemKind
