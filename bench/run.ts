/**
 * `npm run bench`: what the gateway costs beside the same upstream called directly and beside the least that a proxy
 * in Node can do. All are measured in one run, in turn, and compared as ratios, because numbers of two runs or two
 * machines say little. `--quick` takes less than 40 seconds; `--profile` tells where the gateway's time goes.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { measureLargeResult, measurePipeline, measureSessions } from './measure/alone.ts'
import { measureFlush } from './measure/flush.ts'
import { measureLatency } from './measure/latency.ts'
import { measureStartUp } from './measure/start-up.ts'
import { profileCells } from './measure/profile.ts'
import { ERAS, measureThroughput } from './measure/throughput.ts'
import { describeMachine, judge, toMarkdown, type Results } from './report.ts'
import { openStage, type Stage } from './stage.ts'

const FULL = {
  throughput: { rounds: 6, connections: 32, forMs: 1_500, warmUp: { calls: 20_000, atMostMs: 8_000 } },
  latency: { rounds: 5, perSecond: 500, forMs: 2_000 },
  sessions: 10_000,
  largeBytes: 10 * 1024 * 1024,
  pipeline: { rounds: 5, calls: 20_000 },
  starts: 5,
}
const QUICK: typeof FULL = {
  throughput: { rounds: 2, connections: 32, forMs: 600, warmUp: { calls: 5_000, atMostMs: 1_500 } },
  latency: { rounds: 2, perSecond: 500, forMs: 700 },
  sessions: 2_000,
  largeBytes: 10 * 1024 * 1024,
  pipeline: { rounds: 2, calls: 5_000 },
  starts: 2,
}

const { values } = parseArgs({ options: { quick: { type: 'boolean' }, profile: { type: 'boolean' } } })
await using stage = await openStage()
if (values.profile === true) await profileCells(stage)
else await measureAll(stage, values.quick === true ? QUICK : FULL)

async function measureAll(at: Stage, plan: typeof FULL): Promise<void> {
  const throughput = await measureThroughput(at, plan.throughput)
  const latency: Results['latency'][number][] = []
  for (const era of ERAS) latency.push(await measureLatency(at, { era, ...plan.latency }))
  const flush = await measureFlush(300)
  const pipeline = await measurePipeline(at, plan.pipeline)
  const largeResult = await measureLargeResult(at, plan.largeBytes)
  const errors = await at.gateway.ask('errors', {}, z.array(z.string()))
  await at.restartGateway()
  const sessions = await measureSessions(at, plan.sessions)
  const startUp = await measureStartUp(plan.starts)
  const measured = { throughput, latency, flush, pipeline, largeResult, startUp, sessions }
  await tell({ at: new Date().toISOString(), machine: describeMachine(), ...measured })
  if (errors.length > 0) throw new Error(`the gateway logged errors: ${errors.join('\n')}`)
}

async function tell(results: Results): Promise<void> {
  const out = join(import.meta.dirname, 'out')
  await mkdir(out, { recursive: true })
  await writeFile(join(out, 'results.json'), `${JSON.stringify(results, null, 2)}\n`)
  console.log(toMarkdown(results))
  if (judge(results).some(({ isMet }) => !isMet)) process.exitCode = 1
}
