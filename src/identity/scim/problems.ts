import type { ProblemKind } from '#kernel'

/** What SCIM refuses, beside what the rest of the room does; `answer.ts` says it as RFC 7644 §3.12 wants it. */
export const SCIM_BAD_FILTER = {
  code: 'identity/scim-bad-filter',
  status: 400,
  title: 'The filter is not one of those that are answered',
} as const satisfies ProblemKind
export const SCIM_BAD_VALUE = {
  code: 'identity/scim-bad-value',
  status: 400,
  title: 'A value is missing or cannot be used',
} as const satisfies ProblemKind
export const SCIM_BAD_PATH = {
  code: 'identity/scim-bad-path',
  status: 400,
  title: 'The path names no attribute',
} as const satisfies ProblemKind
export const SCIM_FIXED = {
  code: 'identity/scim-fixed',
  status: 400,
  title: 'The attribute cannot be changed',
} as const satisfies ProblemKind
export const SCIM_TAKEN = {
  code: 'identity/scim-taken',
  status: 409,
  title: 'The name is taken',
} as const satisfies ProblemKind
export const SCIM_NOT_FOUND = {
  code: 'identity/scim-not-found',
  status: 404,
  title: 'There is no such resource',
} as const satisfies ProblemKind
export const SCIM_CHANGED = {
  code: 'identity/scim-changed',
  status: 412,
  title: 'The resource has changed since',
} as const satisfies ProblemKind
export const SCIM_WRONG_METHOD = {
  code: 'identity/scim-wrong-method',
  status: 405,
  title: 'This method is not used here',
} as const satisfies ProblemKind
export const SCIM_TOO_FAST = {
  code: 'identity/scim-too-fast',
  status: 429,
  title: 'Too many requests',
} as const satisfies ProblemKind
