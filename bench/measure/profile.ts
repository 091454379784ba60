import { mkdir, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { round } from '../numbers.ts'
import type { Stage } from '../stage.ts'
import { ERAS } from './throughput.ts'

const profile = z.looseObject({
  nodes: z.array(
    z.looseObject({
      id: z.number(),
      callFrame: z.looseObject({ functionName: z.string(), url: z.string(), lineNumber: z.number() }),
    }),
  ),
  samples: z.array(z.number()),
  timeDeltas: z.array(z.number()),
})
type Profile = z.output<typeof profile>

const ROOT = join(import.meta.dirname, '../..')
const SHOWN = 70

/** Samples the gateway's main thread under full load, era by era, and tells in which functions the time was spent. */
export async function profileCells(stage: Stage): Promise<void> {
  const out = join(ROOT, 'bench/out')
  await mkdir(out, { recursive: true })
  for (const era of ERAS) {
    const target = await stage.through(era, era)
    const order = { target, connections: 32 }
    const saturated = z.object({ calls: z.number() })
    await stage.load.ask('saturate', { ...order, forMs: 6_000 }, saturated)
    await stage.gateway.ask('start-profile', {}, z.unknown())
    const { calls } = await stage.load.ask('saturate', { ...order, forMs: 4_000 }, saturated)
    const sampled = await stage.gateway.ask('stop-profile', {}, profile)
    await writeFile(join(out, `${era}.cpuprofile`), JSON.stringify(sampled))
    console.log(`\n${era}: self time in µs per call\n${sumUp(sampled, calls)}`)
  }
}

function sumUp({ nodes, samples, timeDeltas }: Profile, calls: number): string {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const [byFunction, byPlace] = [new Map<string, number>(), new Map<string, number>()]
  samples.forEach((id, at) => {
    const frame = frames.get(id)
    if (!frame || frame.functionName === '(idle)') return
    const file = fileOf(frame.url)
    const micros = (timeDeltas[at] ?? 0) / calls
    add(byPlace, placeOf(file), micros)
    add(byFunction, `${frame.functionName || '(anonymous)'} ${file}:${frame.lineNumber + 1}`, micros)
  })
  return `${lines(byPlace, 40)}\n\n${lines(byFunction, SHOWN)}`
}

/** A room's folder, a package, or Node's own module. */
function placeOf(file: string): string {
  const [, library] = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file) ?? []
  return library ?? (file.startsWith('src/') ? file.replace(/\/[^/]*$/, '') : file)
}

function fileOf(url: string): string {
  return url.startsWith('file:') ? relative(ROOT, fileURLToPath(url)) : url || '(native)'
}

function add(sums: Map<string, number>, key: string, value: number): void {
  sums.set(key, (sums.get(key) ?? 0) + value)
}

function lines(sums: ReadonlyMap<string, number>, shown: number): string {
  const total = [...sums.values()].reduce((sum, value) => sum + value, 0)
  const sorted = [...sums].toSorted(([, a], [, b]) => b - a).slice(0, shown)
  return [['total', total] as const, ...sorted]
    .map(([key, value]) => `${round(value, 1).toFixed(1).padStart(8)}  ${key}`)
    .join('\n')
}
