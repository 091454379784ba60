import type { ProblemKind } from '#kernel'

export const CONFIG_UNREADABLE = {
  code: 'config/unreadable',
  status: 500,
  title: 'The configuration file cannot be read',
} as const satisfies ProblemKind

export const CONFIG_SYNTAX = {
  code: 'config/syntax',
  status: 500,
  title: 'The configuration file is not TOML',
} as const satisfies ProblemKind

export const CONFIG_MISSING_REFERENCE = {
  code: 'config/missing-reference',
  status: 500,
  title: 'The configuration refers to something that is not there',
} as const satisfies ProblemKind

export const CONFIG_INVALID = {
  code: 'config/invalid',
  status: 500,
  title: 'The configuration is not valid',
} as const satisfies ProblemKind
