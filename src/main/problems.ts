import type { ProblemKind } from '#kernel'

export const ALREADY_RUNNING = {
  code: 'main/already-running',
  status: 409,
  title: 'The house runs already',
} as const satisfies ProblemKind

export const PORT_UNUSABLE = {
  code: 'main/port-unusable',
  status: 409,
  title: 'Nothing can listen on this port',
} as const satisfies ProblemKind

export const CONFIG_CONTRADICTION = {
  code: 'config/contradiction',
  status: 400,
  title: 'The configuration contradicts itself',
} as const satisfies ProblemKind
