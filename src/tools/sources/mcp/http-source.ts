import type { Source } from '../../source.ts'
import type { HttpServerConfig } from '../../config.ts'
import type { ServerOf, SourceDeps } from '../deps.ts'
import { deadline } from './deadline.ts'
import { debounced } from './debounced.ts'
import { EraSource } from './era-source.ts'
import { detectEra } from './era.ts'
import { identityOfHouse } from '../../callers/identity-token.ts'
import { createHttpOpenLink } from './legacy/http-link.ts'
import { MAX_PARKED } from './legacy/parking.ts'
import { ONE_EACH } from './legacy/placing.ts'
import { createLegacySide } from './legacy/side.ts'
import { createSseOpenLink } from './legacy/sse-link.ts'
import { createHttpCarrier } from './modern/carrier.ts'
import { MAX_FOLLOWED } from './modern/following.ts'
import { createModernSide } from './modern/side.ts'
import type { Wire } from './wire/exchange.ts'

/** An MCP server behind a URL: streamable HTTP of either era, or HTTP+SSE. */
export function createHttpSource({ config, trusted }: ServerOf<HttpServerConfig>, deps: SourceDeps): Source {
  const client = deps.egress.open({ trusted, allow: config.allow_addresses, connections: connectionsOf(config) })
  const wire: Wire = {
    server: config.name,
    dispatcher: client.dispatcher,
    url: new URL(config.url),
    headers: { ...lowerCased(config.headers), ...(deps.houseId && { 'gatehouse-house': deps.houseId }) },
    maxBytes: config.max_result_bytes,
    identity: identityOfHouse(deps.signIdentity, config),
  }
  const openHttp = createHttpOpenLink(wire, { isRefused: false })
  const openSse = createSseOpenLink(wire)
  const listChanged = debounced(() => deps.events.listChanged())
  const common = {
    server: config.name,
    deps,
    listChanged: () => listChanged.call(),
    close: async () => undefined,
  }
  const sessions = {
    placing: ONE_EACH,
    openTimeoutMs: config.timeout_ms,
    limits: { max: config.max_sessions, idleMs: config.session_idle_ms },
  }
  return new EraSource({
    server: config.name,
    clock: deps.clock,
    detect: (closing) => {
      const signal = AbortSignal.any([closing, deadline(config.name, config.timeout_ms)])
      return detectEra({ wire, house: deps.house, openHttp, openSse, signal })
    },
    adapterOf: (era) => {
      if (era === 'modern')
        return createModernSide({ ...common, listensToLists: true, carrier: createHttpCarrier(wire) })
      return createLegacySide({ ...common, ...sessions, era, openLink: era === 'sse' ? openSse : openHttp })
    },
    changed: () => listChanged.call(),
    close: async () => {
      listChanged.stop()
      await client.close()
    },
  })
}

/**
 * Streams that stay open each hold a connection: the GET stream of a session, a parked call, a subscription. Calls must
 * never queue behind them, so the limit is above what our own limits let open.
 */
function connectionsOf({ max_sessions, max_concurrency }: HttpServerConfig): number {
  return max_sessions + max_concurrency + MAX_PARKED + MAX_FOLLOWED + 64
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
