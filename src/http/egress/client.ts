import { Agent } from 'undici'
import type { Log } from '#telemetry'
import type { Egress, EgressPolicy } from './egress.ts'
import { sendFollowing } from './request.ts'
import { createDialler, type Guard, type Resolve, systemResolve } from './dial.ts'
import { parseExceptions } from './exceptions.ts'

const CONNECTIONS = 128
const KEEP_ALIVE_MS = 30_000

/**
 * Makes the guarded way out. `resolve` replaces the system's name resolution; whatever it answers is judged.
 * `open` throws a Problem when the policy's exceptions cannot be read.
 */
export function createEgress(deps: { log?: Log; resolve?: Resolve } = {}): Egress {
  return {
    open: (policy) => {
      const guard = { resolve: deps.resolve ?? systemResolve, exceptions: parseExceptions(policy.allow), log: deps.log }
      const { trusted, tls } = policy
      const dispatcher = openAgent(policy, trusted ? { ...guard, tls, exceptions: undefined } : { ...guard, tls })
      // Trust is for the address that was registered, not for wherever a server there sends us; so is our certificate.
      const abroad = trusted || tls ? openAgent(policy, guard) : dispatcher
      return {
        dispatcher,
        request: (request) => sendFollowing({ home: dispatcher, abroad }, request),
        close: async () => {
          await Promise.all([dispatcher.destroy(), abroad.destroy()])
        },
      }
    },
  }
}

function openAgent(policy: EgressPolicy, guard: Guard): Agent {
  return new Agent({
    connect: createDialler(guard),
    connections: policy.connections ?? CONNECTIONS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    pipelining: 1,
    // Callers own their deadlines: streams of this protocol are silent for minutes.
    headersTimeout: 0,
    bodyTimeout: 0,
  })
}
