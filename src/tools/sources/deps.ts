import type { Clock } from '#kernel'
import type { Egress } from '#http'
import type { Log } from '#telemetry'
import type { ServerConfig } from '../config.ts'
import type { Supervisor } from './mcp/stdio/index.ts'
import type { SignIdentity } from '../callers/identity-token.ts'
import type { SourceEvents } from '../source.ts'

/** What every kind of source is made from: `createXSource(server, deps)`. */
export type SourceDeps = {
  readonly clock: Clock
  readonly egress: Egress
  readonly log: Log
  readonly events: SourceEvents
  /** Starts child processes for the whole house; a stdio source without it has one of its own. */
  readonly processes?: Supervisor
  /** For servers that want to know who asks; without it none is told. */
  readonly signIdentity?: SignIdentity
  /** Goes out with every request, so that a server that leads back here is found out; without it none is. */
  readonly houseId?: string
  /** What we call ourselves towards servers. */
  readonly house: { readonly name: string; readonly version: string }
}

/** `trusted`: declared in the config file, so the address guard lets it reach private addresses. */
export type ServerOf<Config extends ServerConfig> = { readonly config: Config; readonly trusted: boolean }
