import type { ProblemKind } from '#kernel'

/** A hook said no. */
export const HOOK_DENIED = {
  code: 'policy/hook-denied',
  status: 403,
  title: 'A hook does not allow this call',
} as const satisfies ProblemKind
export const HOOK_RATE_LIMITED = {
  code: 'policy/hook-rate-limited',
  status: 429,
  title: 'A hook counts too many calls',
} as const satisfies ProblemKind
/** A hook that must agree could not be asked, or answered with something that cannot be used. */
export const HOOK_FAILED = {
  code: 'policy/hook-failed',
  status: 503,
  title: 'A hook could not check this call',
} as const satisfies ProblemKind
export const NO_SUCH_HOOK = {
  code: 'policy/no-such-hook',
  status: 404,
  title: 'There is no such hook',
} as const satisfies ProblemKind
export const HOOK_IN_FILE = {
  code: 'policy/hook-in-file',
  status: 409,
  title: 'The hook is declared in the configuration file',
} as const satisfies ProblemKind
export const TOO_MANY_HOOKS = {
  code: 'policy/too-many-hooks',
  status: 409,
  title: 'There are as many hooks as there may be',
} as const satisfies ProblemKind
