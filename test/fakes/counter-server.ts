/**
 * Stands for upstreams that keep state per connection: `increment` counts for the session (legacy) or for the named
 * client (modern), so a gateway that mixes two users' sessions up is caught by a wrong number.
 */
import { McpServer, type ServerContext } from '@modelcontextprotocol/server'
import { serveMcp, type Era, type Eras, type McpFake } from './serve-mcp.ts'

export type CounterServer = McpFake & {
  /** The counts by counter: a session id (legacy) or a client name (modern). Ended sessions stay in it. */
  readonly counts: ReadonlyMap<string, number>
}

export async function startCounterServer(options: { eras?: Eras; port?: number } = {}): Promise<CounterServer> {
  const counts = new Map<string, number>()
  const fake = await serveMcp({ ...options, build: (era) => buildCounter(era, counts) })
  return { ...fake, counts }
}

function buildCounter(era: Era, counts: Map<string, number>): McpServer {
  const mcp = new McpServer({ name: 'counter', version: '1.0.0' })
  const counterOf = (ctx: ServerContext) =>
    era === 'legacy' ? (ctx.sessionId ?? 'no session') : (mcp.server.getClientVersion()?.name ?? 'nameless')
  mcp.registerTool('increment', { description: 'Adds one to the counter of this connection.' }, (ctx) => {
    const counter = counterOf(ctx)
    const count = (counts.get(counter) ?? 0) + 1
    counts.set(counter, count)
    return answer(counter, count)
  })
  mcp.registerTool('current', { description: 'Tells the counter of this connection.' }, (ctx) => {
    const counter = counterOf(ctx)
    return answer(counter, counts.get(counter) ?? 0)
  })
  return mcp
}

function answer(counter: string, count: number) {
  return { content: [{ type: 'text' as const, text: String(count) }], _meta: { 'gatehouse.test/counter': counter } }
}
