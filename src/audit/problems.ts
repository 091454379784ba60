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
export const NO_RECORD = {
  code: 'audit/not-found',
  status: 404,
  title: 'There is no such record',
} as const satisfies ProblemKind
export const NO_PAYLOAD = {
  code: 'audit/no-payload',
  status: 404,
  title: 'There is no payload of this record',
} as const satisfies ProblemKind
export const PAYLOAD_DAMAGED = {
  code: 'audit/payload-damaged',
  status: 500,
  title: 'The payload is not as it was recorded',
} as const satisfies ProblemKind
export const BAD_PUBLIC_KEY = {
  code: 'audit/bad-public-key',
  status: 400,
  title: 'The public key cannot be used',
} as const satisfies ProblemKind
