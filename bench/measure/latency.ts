import { z } from 'zod'
import type { Target } from '../load/target.ts'
import { median, quantile, round } from '../numbers.ts'
import type { Era, Stage } from '../stage.ts'

const held = z.object({ latencies: z.array(z.number()), failures: z.array(z.string()) })

type Spread = { readonly p50: number; readonly p99: number }

/** Milliseconds at a fixed rate of calls; `added` is what the gateway or the bare proxy puts on top of direct calls. */
export type Latency = {
  readonly era: Era
  readonly perSecond: number
  readonly direct: Spread
  readonly bare: Spread
  readonly gateway: Spread
  readonly added: Spread
  readonly addedByBare: Spread
}

/** Calls at a fixed rate directly, through the bare proxy and through the gateway, in turn; medians over the rounds. */
export async function measureLatency(
  stage: Stage,
  plan: { era: Era; rounds: number; perSecond: number; forMs: number },
): Promise<Latency> {
  const { era, perSecond } = plan
  const targets = [stage.direct(era), stage.bare(era), await stage.through(era, era)]
  const rounds: Spread[][] = []
  for (let done = 0; done < plan.rounds; done += 1) {
    const spreads: Spread[] = []
    for (const target of targets) spreads.push(await hold(stage, target, plan))
    rounds.push(spreads)
  }
  const [direct, bare, gateway] = targets.map((_, at) => middleOf(rounds.flatMap((spreads) => spreads[at] ?? [])))
  if (!direct || !bare || !gateway) throw new Error('nothing was measured')
  return {
    era,
    perSecond,
    direct,
    bare,
    gateway,
    added: difference(rounds, 2),
    addedByBare: difference(rounds, 1),
  }
}

async function hold(stage: Stage, target: Target, plan: { perSecond: number; forMs: number }): Promise<Spread> {
  const { latencies, failures } = await stage.load.ask('hold-rate', { target, connections: 16, ...plan }, held)
  if (failures.length > 0) throw new Error(`a call at a fixed rate failed: ${failures[0]}`)
  return { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) }
}

function middleOf(spreads: readonly Spread[]): Spread {
  return { p50: round(median(spreads.map(({ p50 }) => p50))), p99: round(median(spreads.map(({ p99 }) => p99))) }
}

function difference(rounds: readonly Spread[][], at: number): Spread {
  const differences = rounds.flatMap(({ 0: direct, [at]: other }) =>
    direct && other ? [{ p50: other.p50 - direct.p50, p99: other.p99 - direct.p99 }] : [],
  )
  return middleOf(differences)
}
