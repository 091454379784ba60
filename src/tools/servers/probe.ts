import { isProblem } from '#kernel'
import type { HttpServerConfig, ServerConfig, WorkerServerConfig } from '../config.ts'
import { CLIENT_REFUSED, LISTS_TOO_MUCH, NEEDS_CONSENT } from '../problems.ts'
import { reasonOf } from './reason.ts'
import { isRefusal } from './refusal.ts'
import type { Source, SourceEvents } from '../source.ts'

/**
 * Can a server be used around the gateway? It is asked what it offers as a stranger would ask: from this machine, by
 * the same guarded way out, with nothing that only we have. What it would do for a call is not tried.
 */
export type Probe = {
  /**
   * - `open`: it lists its tools for whoever comes.
   * - `identity`: it refuses strangers, and lists for a token in which we say who we are (docs/upstream-identity.md).
   * - `closed`: it refuses whoever brings nothing.
   * - `unknown`: it gave no answer that says so.
   * - `skipped`: nobody can reach it over a network.
   */
  readonly verdict: 'open' | 'identity' | 'closed' | 'unknown' | 'skipped'
  /** In words. */
  readonly detail: string
  /** How many tools it listed for a stranger. */
  readonly tools: number | null
}

type Server = { readonly config: ServerConfig; readonly trusted: boolean }

export type ProbeDeps = {
  readonly makeSource: (server: Server, events: SourceEvents) => Source
}

/** All attempts at one server together. */
const LIMIT_MS = 10_000
const DEAF: SourceEvents = { listChanged: () => undefined, connection: () => undefined }

/** Never rejects, and takes ten seconds at the most. */
export async function probeServer(deps: ProbeDeps, { config, trusted }: Server): Promise<Probe> {
  if (!config.enabled) return skipped('it is switched off')
  switch (config.transport) {
    case 'stdio':
      return skipped('it is a program that this house starts, and speaks with nobody else')
    case 'builtin':
      return skipped('it is part of this house')
    case 'http':
    case 'worker': {
      const signal = AbortSignal.timeout(LIMIT_MS)
      const found = await attempt(deps, { config: strangersConfig(config), trusted }, signal)
      if (found.verdict !== 'closed' || !config.identity_token) return found
      const named = await attempt(deps, { config: namedConfig(config), trusted }, signal)
      return named.verdict === 'open' ? DEMANDS_IDENTITY : found
    }
  }
}

const DEMANDS_IDENTITY: Probe = {
  verdict: 'identity',
  detail: 'it refuses whoever brings nothing, and answers our identity token',
  tools: null,
}

function skipped(detail: string): Probe {
  return { verdict: 'skipped', detail, tools: null }
}

/** Its configuration without anything that could prove who we are: what stands in an address behind "?" counts as that. */
function strangersConfig<Config extends HttpServerConfig | WorkerServerConfig>(config: Config): Config {
  const url = new URL(config.url)
  const bare = `${url.origin}${url.pathname}`
  const timeout_ms = Math.min(config.timeout_ms, LIMIT_MS)
  const nothing = config.transport === 'http' ? { headers: {} } : { secret: '', secrets: {} }
  return { ...config, ...nothing, url: bare, timeout_ms, identity_token: false }
}

function namedConfig(config: HttpServerConfig | WorkerServerConfig): ServerConfig {
  const identity_audience = config.identity_audience ?? config.url
  return { ...strangersConfig(config), identity_token: true, identity_audience }
}

async function attempt(deps: ProbeDeps, server: Server, signal: AbortSignal): Promise<Probe> {
  const source = deps.makeSource(server, DEAF)
  try {
    const { tools } = await source.sync(signal)
    return { verdict: 'open', detail: 'it lists its tools for whoever comes', tools: tools.length }
  } catch (error) {
    return readFailure(error, signal)
  } finally {
    await source.close()
  }
}

function readFailure(error: unknown, signal: AbortSignal): Probe {
  if (isProblem(error, LISTS_TOO_MUCH)) {
    return { verdict: 'open', detail: 'it lists tools for whoever comes, more than we read', tools: null }
  }
  if (isProblem(error, NEEDS_CONSENT) || isProblem(error, CLIENT_REFUSED) || isRefusal(error)) {
    return { verdict: 'closed', detail: 'it refuses whoever brings nothing', tools: null }
  }
  const detail = signal.aborted ? `it did not answer within ${LIMIT_MS / 1000} s` : reasonOf(error).reason
  return { verdict: 'unknown', detail, tools: null }
}
