import { z } from 'zod'
import type { Child } from '../child.ts'
import type { Target } from '../load/target.ts'
import { median, round } from '../numbers.ts'
import type { Era, Stage } from '../stage.ts'

const saturated = z.object({ calls: z.number(), seconds: z.number(), failures: z.array(z.string()) })

/** One column of the benchmark: what is called, and whose CPU it costs. */
type Way = { readonly name: string; readonly target: Target; readonly middle: Child }
type Sample = { readonly callsPerSecond: number; readonly cpuMicros: number }

export type Throughput = {
  readonly connections: number
  /** Medians over the rounds. */
  readonly ways: Readonly<Record<string, Sample>>
  readonly cells: readonly Cell[]
  /** Through the gateway over direct, where the upstream is a server on the official SDK. */
  readonly sdkOverDirect: number
}

/** One client era through the gateway to one upstream era; medians of the ratios inside each round. */
export type Cell = {
  readonly client: Era
  readonly upstream: Era
  readonly cpuOverBare: number
  readonly throughputOverDirect: number
  readonly throughputOverBare: number
}

export const ERAS = ['legacy', 'modern'] as const

export type ThroughputPlan = {
  readonly rounds: number
  readonly connections: number
  readonly forMs: number
  readonly warmUp: { readonly calls: number; readonly atMostMs: number }
}

/**
 * Saturates every way in turn, round after round, so that what else the machine does falls on all of them alike. The
 * quieter half of the rounds counts: those in which direct calls were fastest.
 */
export async function measureThroughput(stage: Stage, plan: ThroughputPlan): Promise<Throughput> {
  const ways = await waysOf(stage)
  for (const way of ways) await warmUp(stage, way, plan)
  const all: Map<string, Sample>[] = []
  for (let done = 0; done < plan.rounds; done += 1) {
    const results = new Map<string, Sample>()
    for (const way of ways) results.set(way.name, await sample(stage, way, plan))
    all.push(results)
  }
  const rounds = all.toSorted((a, b) => directRate(b) - directRate(a)).slice(0, Math.ceil(plan.rounds / 2))
  return {
    connections: plan.connections,
    ways: Object.fromEntries(ways.map(({ name }) => [name, middleOf(rounds, name)])),
    sdkOverDirect: ratioOf(rounds, ['through to SDK server', 'direct to SDK server'], (one) => one.callsPerSecond),
    cells: ERAS.flatMap((client) => ERAS.map((upstream) => cellOf(rounds, client, upstream))),
  }
}

async function waysOf(stage: Stage): Promise<Way[]> {
  const { upstream, bareProxy, gateway } = stage
  const plain = ERAS.flatMap((era) => [
    { name: `direct ${era}`, target: stage.direct(era), middle: upstream },
    { name: `bare ${era}`, target: stage.bare(era), middle: bareProxy },
  ])
  const cells = ERAS.flatMap((client) => ERAS.map((era) => ({ client, era })))
  const through = cells.map(async ({ client, era }) => ({
    name: `${client} to ${era}`,
    target: await stage.through(client, era),
    middle: gateway,
  }))
  const sdk = [
    { name: 'direct to SDK server', target: stage.sdk.direct(), middle: upstream },
    { name: 'through to SDK server', target: stage.sdk.through(), middle: gateway },
  ]
  return [...plain, ...(await Promise.all(through)), ...sdk]
}

/** Node compiles what runs often while it runs, so what counts is how many calls were made before. */
async function warmUp(stage: Stage, way: Way, { connections, warmUp: { calls, atMostMs } }: ThroughputPlan) {
  const { target } = way
  await stage.load.ask('saturate', { target, connections, forMs: atMostMs, atMost: calls }, saturated)
}

function directRate(round: ReadonlyMap<string, Sample>): number {
  return ERAS.reduce((sum, era) => sum + (round.get(`direct ${era}`)?.callsPerSecond ?? 0), 0)
}

async function sample(stage: Stage, way: Way, plan: { connections: number; forMs: number }): Promise<Sample> {
  const before = await way.middle.usage()
  const { target } = way
  const { calls, seconds, failures } = await stage.load.ask('saturate', { target, ...plan }, saturated)
  const after = await way.middle.usage()
  if (failures.length > 0) throw new Error(`${way.name} failed: ${failures[0]}`)
  return { callsPerSecond: calls / seconds, cpuMicros: (after.cpuMicros - before.cpuMicros) / calls }
}

function middleOf(rounds: readonly Map<string, Sample>[], name: string): Sample {
  const samples = rounds.flatMap((round) => round.get(name) ?? [])
  return {
    callsPerSecond: round(median(samples.map((one) => one.callsPerSecond)), 0),
    cpuMicros: round(median(samples.map((one) => one.cpuMicros)), 1),
  }
}

function cellOf(rounds: readonly Map<string, Sample>[], client: Era, upstream: Era): Cell {
  const ratio = (over: string, read: (sample: Sample) => number): number =>
    ratioOf(rounds, [`${client} to ${upstream}`, over], read)
  return {
    client,
    upstream,
    cpuOverBare: ratio(`bare ${client}`, (sample) => sample.cpuMicros),
    throughputOverDirect: ratio(`direct ${client}`, (sample) => sample.callsPerSecond),
    throughputOverBare: ratio(`bare ${client}`, (sample) => sample.callsPerSecond),
  }
}

/** The median over the rounds of one way's number over another's. */
function ratioOf(
  rounds: readonly Map<string, Sample>[],
  [way, over]: readonly [string, string],
  read: (sample: Sample) => number,
): number {
  const ratios = rounds.flatMap((results) => {
    const [one, other] = [results.get(way), results.get(over)]
    return one && other ? read(one) / read(other) : []
  })
  return round(median(ratios))
}
