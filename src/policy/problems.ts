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
/** Policies with mistakes; `findings` has each with its line. */
export const BAD_POLICY = {
  code: 'policy/bad-policy',
  status: 400,
  title: 'The policies have mistakes',
} as const satisfies ProblemKind
export const NO_SUCH_VERSION = {
  code: 'policy/no-such-version',
  status: 404,
  title: 'There is no such version of the policies',
} as const satisfies ProblemKind
export const NOTHING_BEFORE = {
  code: 'policy/nothing-before',
  status: 409,
  title: 'There is nothing to go back to',
} as const satisfies ProblemKind
export const NO_SUCH_MODULE = {
  code: 'policy/no-such-module',
  status: 404,
  title: 'The admin API has no such module or operation',
} as const satisfies ProblemKind
export const NO_SUCH_THING = {
  code: 'policy/no-such-thing',
  status: 404,
  title: 'The gateway shows no such thing',
} as const satisfies ProblemKind
