import type { ServerConfig } from '../config.ts'
import type { Source } from '../source.ts'
import { createBuiltinSource } from './builtin/index.ts'
import type { SourceDeps } from './deps.ts'
import { createMcpSource } from './mcp/index.ts'
import { createWorkerSource } from './worker/index.ts'

/** The kinds of sources there are. A new kind is a folder here and a line below, and touches nothing else. */
export function createSource(server: { config: ServerConfig; trusted: boolean }, deps: SourceDeps): Source {
  const { config, trusted } = server
  switch (config.transport) {
    case 'http':
    case 'stdio':
      return createMcpSource({ config, trusted }, deps)
    case 'worker':
      return createWorkerSource({ config, trusted }, deps)
    case 'builtin':
      return createBuiltinSource({ config, trusted }, deps)
  }
}
