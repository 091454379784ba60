import type { StdioServerConfig } from '../../config.ts'
import type { CallerSession, Source } from '../../source.ts'
import type { SourceDeps } from '../deps.ts'
import { deadline } from './deadline.ts'
import { debounced } from './debounced.ts'
import { EraSource } from './era-source.ts'
import type { Verdict } from './era.ts'
import { placingOf, type Placing } from './legacy/placing.ts'
import { Pool } from './legacy/pool.ts'
import { createLegacySide } from './legacy/side.ts'
import { createLinkCarrier, LinkRequests, type Line } from './link-carrier.ts'
import type { Link, LinkEvents, OpenLink } from './link.ts'
import { MODERN_VERSION, withEnvelope } from './modern/envelope.ts'
import { createModernSide } from './modern/side.ts'

/** How long a process may be silent when asked for the newest era, before it is greeted as an older one. */
const DISCOVER_MS = 5_000

export type StdioParts = { readonly config: StdioServerConfig; readonly openLink: OpenLink; close(): Promise<void> }

/** A program may take five seconds to leave (`stdio/`: stdin closed, then SIGTERM, then SIGKILL), and its place is free after that. */
const PLACE_WAIT_MS = 6_000

/** An MCP server that is a program here, of either era; `openLink` starts it. */
export function createStdioSource(parts: StdioParts, deps: SourceDeps): Source {
  const { config } = parts
  const first = new FirstLink(parts.openLink)
  const openLink = first.open
  const placing = placingOf(config, { ...deps.house })
  const listChanged = debounced(() => deps.events.listChanged())
  const limits = { max: config.max_processes, idleMs: config.idle_stop_ms, waitMs: PLACE_WAIT_MS }
  const common = {
    server: config.name,
    deps,
    listChanged: () => listChanged.call(),
  }
  return new EraSource({
    server: config.name,
    clock: deps.clock,
    detect: (closing) => detect(config, first, { house: { ...deps.house }, key: placing.probeKey, closing }),
    adapterOf: (era) => {
      const openTimeoutMs = config.start_timeout_ms
      if (era !== 'modern') {
        return createLegacySide({
          ...common,
          era,
          placing,
          limits,
          openTimeoutMs,
          openLink,
          close: async () => undefined,
        })
      }
      const lines = new Pool<PooledLine>(config.name, limits)
      const carrier = createLinkCarrier((session, signal) =>
        lineFor({ config, lines, placing, openLink, session, signal }),
      )
      const processes = () => lines.size
      // A listening process never falls idle, so only one that all share is kept for that.
      const listensToLists = config.isolation === 'shared'
      return createModernSide({ ...common, listensToLists, carrier, processes, close: () => lines.close() })
    },
    changed: () => listChanged.call(),
    close: async () => {
      listChanged.stop()
      await first.close()
      await parts.close()
    },
  })
}

/** Asks the first process; the link is kept for the first who needs one. */
async function detect(
  config: StdioServerConfig,
  first: FirstLink,
  probe: { house: { name: string; version: string }; key: string; closing: AbortSignal },
): Promise<Verdict> {
  const signal = AbortSignal.any([probe.closing, deadline(config.name, config.start_timeout_ms, 'start_timeout_ms')])
  const link = await first.start(probe.key, signal)
  const params = withEnvelope({}, { clientInfo: probe.house, clientCapabilities: {} })
  const patience = AbortSignal.any([signal, AbortSignal.timeout(Math.min(DISCOVER_MS, config.start_timeout_ms / 2))])
  const dead = link.closed.then((reason) => ({ reason }))
  const asked = link.request({ method: 'server/discover', params, signal: patience }).catch(() => undefined)
  const answer = await Promise.race([asked, dead])
  if (answer === undefined) return { era: 'legacy', isSure: false }
  if ('reason' in answer || 'error' in answer) return { era: 'legacy', isSure: 'error' in answer }
  const { supportedVersions } = answer.result.value()
  const isModern = Array.isArray(supportedVersions) && supportedVersions.includes(MODERN_VERSION)
  return { era: isModern ? 'modern' : 'legacy', isSure: true }
}

/** The link on which the era was found out: given to the first who opens one, so that no process is started in vain. */
class FirstLink {
  readonly #openLink: OpenLink
  #spare: { readonly link: Link; readonly relay: Relay } | undefined

  constructor(openLink: OpenLink) {
    this.#openLink = openLink
  }

  readonly open: OpenLink = async (opening) => {
    const spare = this.#spare
    this.#spare = undefined
    if (spare === undefined) return this.#openLink(opening)
    spare.relay.events = opening.events
    return spare.link
  }

  async start(key: string, signal: AbortSignal): Promise<Link> {
    await this.close()
    const relay = new Relay()
    const link = await this.#openLink({ key, signal, events: relay })
    this.#spare = { link, relay }
    void link.closed.then(() => {
      if (this.#spare?.link === link) this.#spare = undefined
    })
    return link
  }

  async close(): Promise<void> {
    const spare = this.#spare
    this.#spare = undefined
    await spare?.link.close()
  }
}

class Relay implements LinkEvents {
  events: LinkEvents | undefined

  message(...[message]: Parameters<LinkEvents['message']>): void {
    this.events?.message(message)
  }
}

class PooledLine implements Line {
  readonly key: string
  readonly link: Link
  readonly requests: LinkRequests

  constructor(key: string, link: Link, requests: LinkRequests) {
    this.key = key
    this.link = link
    this.requests = requests
  }

  get closed(): Promise<string> {
    return this.link.closed
  }

  get callCount(): number {
    return this.requests.size
  }

  get isIdle(): boolean {
    return this.requests.size === 0
  }

  set onIdle(tell: (() => void) | undefined) {
    this.requests.onIdle = tell
  }

  end(): Promise<void> {
    return this.link.close()
  }
}

function lineFor(wanted: {
  config: StdioServerConfig
  lines: Pool<PooledLine>
  placing: Placing
  openLink: OpenLink
  session: CallerSession | undefined
  signal: AbortSignal
}): Promise<Line> {
  const { config, lines, placing, openLink, session } = wanted
  const key = session === undefined ? placing.probeKey : placing.place(session, () => lines.conversations())
  const owner = session === undefined ? undefined : placing.ownerOf(session)
  const open = async (): Promise<PooledLine> => {
    const requests = new LinkRequests()
    const signal = deadline(config.name, config.start_timeout_ms, 'start_timeout_ms')
    const link = await openLink({ key, signal, events: { message: (message) => requests.receive(message) } })
    return new PooledLine(key, link, requests)
  }
  return lines.acquire({ key, owner }, open, wanted.signal)
}
