import type { ProblemKind } from '#kernel'

export const OVERLOADED = {
  code: 'audit/overloaded',
  status: 503,
  title: 'Too much waits to be recorded',
} as const satisfies ProblemKind
export const UNAVAILABLE = {
  code: 'audit/unavailable',
  status: 503,
  title: 'The audit trail cannot be written',
} as const satisfies ProblemKind
export const BAD_CURSOR = {
  code: 'audit/bad-cursor',
  status: 400,
  title: 'The cursor cannot be used',
} as const satisfies ProblemKind
export const BAD_PUBLIC_KEY = {
  code: 'audit/bad-public-key',
  status: 400,
  title: 'The public key cannot be used',
} as const satisfies ProblemKind
