/**
 * Which room may use which, through its door (`#room`) only. The ground stands first: a room uses only rooms before it.
 * Adding a word here is a review question; `test/architecture.test.ts` holds every import against this table.
 */
export const rooms = {
  kernel: [],
  telemetry: ['kernel'],
  config: ['kernel'],
  storage: ['kernel', 'telemetry'],
  http: ['kernel', 'telemetry'],
  audit: ['kernel', 'telemetry', 'storage', 'http'],
  identity: ['kernel', 'telemetry', 'storage', 'http', 'audit'],
  login: ['kernel', 'telemetry', 'storage', 'http', 'audit', 'identity'],
  policy: ['kernel'],
  tools: ['kernel', 'telemetry', 'storage', 'http', 'audit', 'identity', 'policy'],
  gateway: ['kernel', 'telemetry', 'http', 'identity', 'tools'],
  main: [
    'kernel',
    'telemetry',
    'config',
    'storage',
    'http',
    'audit',
    'identity',
    'login',
    'policy',
    'tools',
    'gateway',
  ],
  cli: ['kernel', 'telemetry', 'config', 'http', 'storage', 'audit', 'identity', 'login', 'tools', 'gateway', 'main'],
} as const satisfies Record<string, readonly string[]>
