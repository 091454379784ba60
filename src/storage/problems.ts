import type { ProblemKind } from '#kernel'

export const BAD_STORAGE_URL = {
  code: 'storage/bad-url',
  status: 400,
  title: 'The storage URL cannot be used',
} as const satisfies ProblemKind

export const NEWER_DATABASE = {
  code: 'storage/newer-database',
  status: 409,
  title: 'The database was written by a newer version',
} as const satisfies ProblemKind

export const NOT_EMPTY = {
  code: 'storage/not-empty',
  status: 409,
  title: 'The database is not empty',
} as const satisfies ProblemKind

export const BAD_BACKUP = {
  code: 'storage/bad-backup',
  status: 400,
  title: 'The backup cannot be read',
} as const satisfies ProblemKind

export const BAD_REPLICA_ID = {
  code: 'storage/bad-replica-id',
  status: 500,
  title: 'The replica id cannot be read',
} as const satisfies ProblemKind

export const CHANGE_TOO_LARGE = {
  code: 'storage/change-too-large',
  status: 400,
  title: 'The change is too large to be announced',
} as const satisfies ProblemKind

export const BAD_SECRET_NAME = {
  code: 'storage/bad-secret-name',
  status: 400,
  title: 'The name of the shared key cannot be used',
} as const satisfies ProblemKind
