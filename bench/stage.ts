import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { startChild, type Child } from './child.ts'
import type { Target } from './load/target.ts'

export type Era = 'legacy' | 'modern'

/** The processes of the benchmark: one load generator, one upstream, and the two things that stand between them. */
export type Stage = {
  readonly load: Child
  readonly upstream: Child
  readonly bareProxy: Child
  readonly gateway: Child
  readonly key: string
  readonly upstreams: { readonly modern: string; readonly legacy: string }
  direct(client: Era): Target
  bare(client: Era): Target
  through(client: Era, upstream: Era): Promise<Target>
  builtin(client: Era): Target
  /** A gateway by its slug. */
  at(slug: string, client: Era): Target
  /** A server on the official SDK, for modern clients: directly, and through the gateway. */
  readonly sdk: { direct(): Target; through(): Target }
  /** Stops the gateway and starts it anew on the same data. */
  restartGateway(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const address = z.object({ url: z.string() })
const addresses = z.object({ modern: z.string(), legacy: z.string(), sdk: z.string() })
const opened = z.object({ url: z.string(), key: z.string() })
const sessions = z.object({ opened: z.number(), first: z.string() })

export async function openStage(): Promise<Stage> {
  const dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-bench-'))
  const [load, upstream] = await Promise.all([startChild('load'), startChild('upstream')])
  const urls = await upstream.ask('addresses', {}, addresses)
  const bareProxy = await startChild('bare-proxy', { target: urls.modern })
  const { url: bareUrl } = await bareProxy.ask('address', {}, address)
  const startGateway = () => startChild('gateway', { dataDir, ...urls })
  let gateway = await startGateway()
  let house = await gateway.ask('open', {}, opened)
  const at = (slug: string, era: Era): Target => ({ url: `${house.url}/mcp/${slug}`, era, key: house.key })
  return {
    load,
    upstream,
    bareProxy,
    get gateway() {
      return gateway
    },
    get key() {
      return house.key
    },
    upstreams: urls,
    direct: (era) => ({ url: urls.modern, era }),
    bare: (era) => ({ url: bareUrl, era }),
    builtin: (era) => at('builtin', era),
    at,
    sdk: { direct: () => ({ url: urls.sdk, era: 'modern' }), through: () => at('sdk', 'modern') },
    async through(era, upstreamEra) {
      const target = at(upstreamEra, era)
      if (era === 'modern') return target
      return { ...target, session: (await load.ask('open-sessions', { target, count: 1 }, sessions)).first }
    },
    async restartGateway() {
      await gateway.stop()
      gateway = await startGateway()
      house = await gateway.ask('open', {}, opened)
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([load, gateway, bareProxy, upstream].map((child) => child.stop()))
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}
