import type { ProblemKind } from '#kernel'

export const BLOCKED_INPUT = {
  code: 'content/blocked-input',
  status: 403,
  title: 'A content rule does not let this in',
} as const satisfies ProblemKind
export const WITHHELD_OUTPUT = {
  code: 'content/withheld-output',
  status: 403,
  title: 'A content rule does not let the answer out',
} as const satisfies ProblemKind
export const NOT_CHECKED = {
  code: 'content/not-checked',
  status: 503,
  title: 'The content could not be checked',
} as const satisfies ProblemKind
export const NO_SUCH_RULE = {
  code: 'content/no-such-rule',
  status: 404,
  title: 'There is no such content rule',
} as const satisfies ProblemKind
export const RULE_IN_FILE = {
  code: 'content/rule-in-file',
  status: 409,
  title: 'The content rule is declared in the configuration file',
} as const satisfies ProblemKind
export const TOO_MANY_RULES = {
  code: 'content/too-many-rules',
  status: 409,
  title: 'There are as many content rules as there may be',
} as const satisfies ProblemKind
