import type { IncomingMessage, ServerResponse } from 'node:http'
import { createCallerAddress } from '#http'
import { Problem, type Clock } from '#kernel'
import type { Log } from '#telemetry'
import type { Tools } from '#tools'
import type { ReplicaRouting } from './context.ts'
import { createGuard } from './guard.ts'
import { handleRequest, type Face } from './handle.ts'
import { Sessions } from './legacy/sessions.ts'
import { DEFAULT_LIMITS, type GatewayLimits } from './limits.ts'
import { OpenExchanges } from './open-exchanges.ts'
import { CLOSING } from './problems.ts'
import { Pulse } from './pulse.ts'
import { Listens } from './subscriptions/listens.ts'

export type GatewayFaceDeps = {
  readonly tools: Tools
  readonly clock: Clock
  readonly log: Log
  readonly limits?: Partial<GatewayLimits>
  readonly publicUrl: () => string
  /** Origins of web pages that may use the gateway, besides its own and loopback. */
  readonly allowedOrigins?: readonly string[]
  readonly house: { readonly name: string; readonly version: string }
  readonly replica?: ReplicaRouting
  /** What our own requests to servers are marked with: one that comes back is refused. */
  readonly houseId?: string
  /** Where a request comes from; without it, the other end of its connection. */
  readonly addressOf?: (req: IncomingMessage) => string
}

export type GatewayFace = {
  /** Answers one request at `/mcp/{slug}`; never rejects. */
  handle(req: IncomingMessage, res: ServerResponse, slug: string): Promise<void>
  /** What is held right now, for health pages and leak tests. */
  sessions(): { count: number; streams: number; calls: number; listens: number; keptBytes: number }
  /** Ends all streams and sessions gracefully; requests that come later are told to try again. */
  close(): Promise<void>
}

/** The MCP face of all gateways: both eras at one URL each. */
export function createGatewayFace(deps: GatewayFaceDeps): GatewayFace {
  const limits = { ...DEFAULT_LIMITS, ...deps.limits }
  const { tools, clock, log, house, replica, addressOf = createCallerAddress([]) } = deps
  const pulse = new Pulse(clock, Math.min(limits.silenceMs, limits.keepAliveMs, limits.resumeMs, limits.sessionIdleMs))
  const open = new OpenExchanges(tools)
  const context = {
    tools,
    clock,
    log,
    limits,
    house,
    houseJson: JSON.stringify(house),
    replica,
    addressOf,
    pulse,
    open,
  }
  const sessions = new Sessions(context)
  const listens = new Listens()
  const guard = createGuard({ publicUrl: deps.publicUrl, origins: deps.allowedOrigins ?? [] })
  const { publicUrl } = deps
  const face: Face = {
    context,
    sessions,
    listens,
    guard,
    publicUrl,
    houseId: deps.houseId,
    isClosing: false,
    heldBytes: 0,
  }
  return {
    handle: (req, res, slug) => handleRequest(face, req, res, slug),
    sessions: () => ({ count: sessions.count, ...countOpen(sessions), listens: listens.count }),
    close: async () => {
      face.isClosing = true
      open.close(new Problem(CLOSING, 'The gateway stopped before this ended. It may have taken effect.'))
      listens.endAll()
      sessions.endAll()
      pulse.close()
    },
  }
}

function countOpen(sessions: Sessions): { streams: number; calls: number; keptBytes: number } {
  let streams = 0
  let calls = 0
  for (const session of sessions.list) {
    streams += session.streams?.size ?? 0
    calls += session.calls?.size ?? 0
  }
  return { streams, calls, keptBytes: sessions.budget.usedBytes }
}
