/**
 * `node bench/peers.ts`: other gateways beside this one, on the same upstream and in turn. They are no dependency: each
 * is measured where somebody has installed it (`bench/README.md` says how), and left out with a word otherwise.
 */
import { z } from 'zod'
import { startContextForge } from './peers/context-forge.ts'
import { startFastMcp } from './peers/fastmcp.ts'
import type { Peer } from './peers/process.ts'
import { median, quantile, round } from './numbers.ts'
import { openStage, type Stage } from './stage.ts'
import type { Target } from './load/target.ts'

const ROUNDS = 5
const CONNECTIONS = 32
const FOR_MS = 2_000
/** A rate that all of them reach. */
const PER_SECOND = 10

const saturated = z.object({ calls: z.number(), seconds: z.number(), failures: z.array(z.string()) })
const held = z.object({ latencies: z.array(z.number()), failures: z.array(z.string()) })
const sessions = z.object({ opened: z.number(), first: z.string() })

type Way = { readonly name: string; readonly target: Target; readonly cpuMicros: () => Promise<number> }
type Sample = { readonly callsPerSecond: number; readonly cpuMicros: number; readonly p50: number }

await using stage = await openStage()
const upstream = stage.upstreams.legacy
const peers = (await Promise.all([startFastMcp(upstream), startContextForge(upstream)])).filter((peer) => peer !== null)
try {
  console.log(table(await measure(await waysOf(stage, peers))))
} finally {
  await Promise.all(peers.map((peer) => peer.stop()))
}

async function waysOf(at: Stage, others: readonly Peer[]): Promise<Way[]> {
  const cpuOf = (child: Stage['gateway']) => async () => (await child.usage()).cpuMicros
  const theirs = others.map(async ({ name, target, hasSessions, cpuMicros }) => {
    const session = hasSessions ? { session: await openSession(at, target) } : {}
    return { name, target: { ...target, ...session }, cpuMicros }
  })
  return [
    { name: 'direct', target: { url: upstream, era: 'legacy' }, cpuMicros: cpuOf(at.upstream) },
    { name: 'bare node:http proxy', target: at.bare('legacy'), cpuMicros: cpuOf(at.bareProxy) },
    { name: 'Gatehouse', target: await at.through('legacy', 'legacy'), cpuMicros: cpuOf(at.gateway) },
    ...(await Promise.all(theirs)),
  ]
}

async function openSession(at: Stage, target: Target): Promise<string> {
  return (await at.load.ask('open-sessions', { target, count: 1 }, sessions)).first
}

async function measure(ways: readonly Way[]): Promise<Map<string, Sample[]>> {
  const samples = new Map<string, Sample[]>(ways.map(({ name }) => [name, []]))
  for (const way of ways) await saturate(way, FOR_MS)
  for (let done = 0; done < ROUNDS; done += 1)
    for (const way of ways) samples.get(way.name)?.push({ ...(await saturate(way, FOR_MS)), p50: await latency(way) })
  return samples
}

async function saturate({ name, target, cpuMicros }: Way, forMs: number) {
  const before = await cpuMicros()
  const { calls, seconds, failures } = await stage.load.ask(
    'saturate',
    { target, connections: CONNECTIONS, forMs },
    saturated,
  )
  if (failures.length > 0) throw new Error(`${name} failed: ${failures[0]}`)
  return { callsPerSecond: calls / seconds, cpuMicros: ((await cpuMicros()) - before) / calls }
}

async function latency({ name, target }: Way): Promise<number> {
  const order = { target, connections: 8, perSecond: PER_SECOND, forMs: FOR_MS }
  const { latencies, failures } = await stage.load.ask('hold-rate', order, held)
  if (failures.length > 0) throw new Error(`${name} failed at a fixed rate: ${failures[0]}`)
  return quantile(latencies, 0.5)
}

function table(samples: ReadonlyMap<string, readonly Sample[]>): string {
  const middle = (of: readonly Sample[], read: (one: Sample) => number) => median(of.map(read))
  const rows = [...samples].map(([name, of]) => {
    const rate = round(
      middle(of, (one) => one.callsPerSecond),
      0,
    )
    const cpu = round(
      middle(of, (one) => one.cpuMicros),
      0,
    )
    return `| ${name} | ${rate} | ${cpu} | ${round(middle(of, (one) => one.p50))} |`
  })
  const head = `| way | calls/s at ${CONNECTIONS} connections | CPU µs/call | p50 at ${PER_SECOND} calls/s, ms |`
  return [head, '| --- | --- | --- | --- |', ...rows].join('\n')
}
