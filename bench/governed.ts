/**
 * `node bench/governed.ts`: what governing a call costs. CPU a call with grants and three rules in Cedar, and three
 * content rules, over that with none of it: for the pipeline alone, in one process, and for the whole way over HTTP
 * (bench/stage.ts). The audit trail is on in both. `--quick` takes a tenth of the calls.
 */
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { callInProcess } from './children/in-process.ts'
import { govern, grantAll, isGranted, type Governed } from './children/rules.ts'
import { openBenchHouse } from './house.ts'
import { median } from './numbers.ts'
import { openStage, type Stage } from './stage.ts'

const ROUNDS = 9
const LIMIT = 1.3
const STATES: readonly Governed[] = ['nothing', 'cedar', 'content', 'all']

const saturated = z.object({ calls: z.number(), failures: z.array(z.string()) })

type Round = Readonly<Record<Governed, number>>

const { values } = parseArgs({ options: { quick: { type: 'boolean' } } })
const scale = values.quick === true ? 0.1 : 1
const inProcess = tell('the pipeline in one process', await measurePipeline(20_000 * scale))
await using stage = await openStage()
const overHttp = tell('the whole way over HTTP', await measureHttp(stage, 1_500 * scale))
if (Math.max(inProcess, overHttp) > LIMIT) process.exitCode = 1

async function measurePipeline(calls: number): Promise<Round[]> {
  await using opened = await openBenchHouse()
  const { house } = opened
  const key = await grantAll(house)
  return await inTurn(async (state) => {
    await govern(house, { state })
    const gateway = isGranted(state) ? 'granted' : 'open'
    return (await callInProcess(house, { calls, atOnce: 32, key, gateway })).cpuMicrosPerCall
  })
}

async function measureHttp(on: Stage, forMs: number): Promise<Round[]> {
  const { load, gateway } = on
  await gateway.ask('grant-all', {}, z.unknown())
  return inTurn(async (state) => {
    await gateway.ask('govern', { state }, z.unknown())
    const target = on.at(isGranted(state) ? 'granted' : 'modern', 'modern')
    const saturate = (how: object) => load.ask('saturate', { target, connections: 32, ...how }, saturated)
    await saturate({ forMs: forMs / 5 })
    const before = await gateway.usage()
    const { calls, failures } = await saturate({ forMs })
    const after = await gateway.usage()
    if (failures.length > 0) throw new Error(`a call failed: ${failures[0]}`)
    return (after.cpuMicros - before.cpuMicros) / calls
  })
}

/** In turn, so that what else the machine does concerns all alike. The first round only warms up. */
async function inTurn(measure: (state: Governed) => Promise<number>): Promise<Round[]> {
  const rounds: Round[] = []
  for (let round = 0; round <= ROUNDS; round += 1) {
    const found = new Map<Governed, number>()
    for (const state of STATES) found.set(state, await measure(state))
    const of = (state: Governed): number => found.get(state) ?? NaN
    rounds.push({ nothing: of('nothing'), cedar: of('cedar'), content: of('content'), all: of('all') })
  }
  return rounds.slice(1)
}

function tell(what: string, rounds: readonly Round[]): number {
  const ratio = (state: Governed): number => median(rounds.map((round) => round[state] / round.nothing))
  const micros = (state: Governed): string => `${median(rounds.map((round) => round[state])).toFixed(1)} µs`
  const [cedar, content, all] = [ratio('cedar'), ratio('content'), ratio('all')]
  console.log(
    `${what}: ${micros('nothing')} CPU a call ungoverned, ${micros('all')} governed: ${all.toFixed(3)}× ` +
      `(Cedar alone ${cedar.toFixed(3)}×, content rules alone ${content.toFixed(3)}×)`,
  )
  return all
}
