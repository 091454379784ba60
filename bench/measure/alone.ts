import { z } from 'zod'
import { median, round } from '../numbers.ts'
import type { Stage } from '../stage.ts'

const sessions = z.object({ opened: z.number(), first: z.string().nullable() })
const answered = z.object({ milliseconds: z.number(), bytes: z.number() })
const pipeline = z.object({ cpuMicrosPerCall: z.number(), callsPerSecond: z.number() })

export type Sessions = { readonly count: number; readonly heapKiB: number; readonly rssKiB: number }

/** What one idle session of a session-era client costs, after `initialize`. */
export async function measureSessions(stage: Stage, count: number): Promise<Sessions> {
  const target = stage.builtin('legacy')
  await stage.load.ask('open-sessions', { target, count: 200 }, sessions)
  const before = await settled(stage)
  await stage.load.ask('open-sessions', { target, count }, sessions)
  const after = await settled(stage)
  const perSession = (bytes: number): number => round(bytes / count / 1024, 1)
  return {
    count,
    heapKiB: perSession(after.heapBytes - before.heapBytes),
    rssKiB: perSession(after.rssBytes - before.rssBytes),
  }
}

async function settled(stage: Stage) {
  await stage.gateway.ask('collect', {}, z.unknown())
  await stage.gateway.ask('collect', {}, z.unknown())
  return stage.gateway.usage()
}

export type LargeResult = { readonly bytes: number; readonly milliseconds: number; readonly growthOverPayload: number }

/** How much memory one large result takes on its way through. */
export async function measureLargeResult(stage: Stage, resultBytes: number): Promise<LargeResult> {
  const target = await stage.through('modern', 'modern')
  const { rssBytes } = await settled(stage)
  await stage.gateway.ask('watch-memory', {}, z.unknown())
  const { milliseconds, bytes } = await stage.load.ask('ask-once', { target, resultBytes }, answered)
  const peak = await stage.gateway.ask('end-watch', {}, z.number())
  return {
    bytes,
    milliseconds: round(milliseconds, 0),
    growthOverPayload: round(Math.max(0, peak - rssBytes) / resultBytes),
  }
}

export type Pipeline = { readonly cpuMicrosPerCall: number; readonly callsPerSecond: number }

/** The stages alone, in one process and without a network: admit, resolve, authorize, …, a built-in tool, record. */
export async function measurePipeline(stage: Stage, plan: { rounds: number; calls: number }): Promise<Pipeline> {
  const found: Pipeline[] = []
  for (let done = 0; done <= plan.rounds; done += 1) {
    const given = { calls: plan.calls, atOnce: 32, key: stage.key }
    const one = await stage.gateway.ask('in-process', given, pipeline)
    if (done > 0) found.push(one) // the first one only warms it up
  }
  return {
    cpuMicrosPerCall: round(median(found.map((one) => one.cpuMicrosPerCall)), 1),
    callsPerSecond: round(median(found.map((one) => one.callsPerSecond)), 0),
  }
}
