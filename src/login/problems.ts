import type { ProblemKind } from '#kernel'

export const BAD_LOGIN_RULE = {
  code: 'login/bad-rule',
  status: 400,
  title: 'The rule cannot be added like this',
} as const satisfies ProblemKind
export const NO_SUCH_LOGIN_RULE = {
  code: 'login/no-such-rule',
  status: 404,
  title: 'There is no such rule of the login policy',
} as const satisfies ProblemKind
export const LOGIN_RULE_FROM_FILE = {
  code: 'login/rule-from-file',
  status: 409,
  title: 'The rule stands in the configuration file',
} as const satisfies ProblemKind
export const LOGIN_POLICY_CHANGED = {
  code: 'login/policy-changed',
  status: 409,
  title: 'Somebody else changed the login policy at the same time',
} as const satisfies ProblemKind
export const LOGIN_REFUSED = {
  code: 'login/refused',
  status: 403,
  title: 'The login policy does not let this account in here',
} as const satisfies ProblemKind
