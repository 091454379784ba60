/**
 * MCP servers as sources. Inside the house every call looks like the newest revision (2026-07-28); a server may be of
 * any revision, and this folder is where the difference ends:
 *
 * - `wire/`: bytes, JSON-RPC and server-sent events over HTTP; results stay bytes.
 * - `modern/`: the stateless era. A leg of a call is one request; nothing is kept between legs.
 * - `legacy/`: the session era. One upstream session a caller, and calls in which the server asks something are parked
 *   until the caller comes back with the answer. It runs on `link.ts`, whatever carries that.
 * - `era.ts`: which of them a server is; found out, remembered with its date and doubted when things stop fitting.
 * - `stdio/`: child processes as links.
 */
import type { HttpServerConfig, StdioServerConfig } from '../../config.ts'
import type { Source } from '../../source.ts'
import type { ServerOf, SourceDeps } from '../deps.ts'
import { createHttpSource } from './http-source.ts'
import { createSupervisor } from './stdio/index.ts'
import { createStdioSource } from './stdio-source.ts'

/** Makes the source of one MCP server. Connects to nothing until it is used. */
export function createMcpSource(server: ServerOf<HttpServerConfig | StdioServerConfig>, deps: SourceDeps): Source {
  const { config, trusted } = server
  if (config.transport === 'http') return createHttpSource({ config, trusted }, deps)
  if (deps.processes !== undefined) {
    return createStdioSource({ config, openLink: deps.processes.openLink(config), close: async () => undefined }, deps)
  }
  const supervisor = createSupervisor(deps)
  return createStdioSource({ config, openLink: supervisor.openLink(config), close: () => supervisor.close() }, deps)
}
