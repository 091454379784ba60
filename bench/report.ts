import { cpus, totalmem } from 'node:os'
import type { LargeResult, Pipeline, Sessions } from './measure/alone.ts'
import type { Flush } from './measure/flush.ts'
import type { Latency } from './measure/latency.ts'
import type { Throughput } from './measure/throughput.ts'

export type Results = {
  readonly at: string
  readonly machine: string
  readonly throughput: Throughput
  readonly latency: readonly Latency[]
  readonly flush: Flush
  readonly sessions: Sessions
  readonly largeResult: LargeResult
  readonly pipeline: Pipeline
  readonly startUp: { readonly readyMs: number }
}

export type Verdict = {
  readonly what: string
  readonly value: number
  readonly limit: string
  readonly aim: string
  readonly isMet: boolean
}

/** Every promise with what was measured; the worst of the four cells counts. */
export function judge(results: Results): Verdict[] {
  const { cells } = results.throughput
  const cpu = Math.max(...cells.map((cell) => cell.cpuOverBare))
  const share = Math.min(...cells.map((cell) => cell.throughputOverDirect))
  const { sdkOverDirect } = results.throughput
  const p50 = Math.max(...results.latency.map(({ added }) => added.p50))
  const p99 = Math.max(...results.latency.map(({ added }) => added.p99))
  const { growthOverPayload } = results.largeResult
  const { readyMs } = results.startUp
  return [
    { what: 'CPU per call / bare proxy', value: cpu, limit: '≤ 2.5', aim: '1.5', isMet: cpu <= 2.5 },
    {
      what: 'throughput / direct, SDK server',
      value: sdkOverDirect,
      limit: '≥ 0.25',
      aim: '',
      isMet: sdkOverDirect >= 0.25,
    },
    { what: 'throughput / direct, raw echo', value: share, limit: '≥ 0.25', aim: '', isMet: share >= 0.25 },
    { what: 'added p50 at 500 calls/s (ms)', value: p50, limit: '≤ 1', aim: '', isMet: p50 <= 1 },
    { what: 'added p99 at 500 calls/s (ms)', value: p99, limit: '', aim: '≤ 5', isMet: true },
    {
      what: 'memory of a 10 MB result / payload',
      value: growthOverPayload,
      limit: '< 3',
      aim: '',
      isMet: growthOverPayload < 3,
    },
    { what: 'second start until ready (ms)', value: readyMs, limit: '< 2000', aim: '', isMet: readyMs < 2000 },
  ]
}

/** The results as Markdown, ratios first. */
export function toMarkdown(results: Results): string {
  const { throughput, latency, flush, sessions, largeResult, pipeline, startUp } = results
  return [
    `${results.at}, ${results.machine}`,
    table(
      ['promise', 'limit', 'aim', 'measured', ''],
      judge(results).map((one) => [one.what, one.limit, one.aim, one.value, one.isMet ? 'met' : '**missed**']),
    ),
    table(
      ['client → upstream', 'CPU / bare', 'throughput / direct', 'throughput / bare'],
      throughput.cells.map((cell) => [
        `${cell.client} → ${cell.upstream}`,
        cell.cpuOverBare,
        cell.throughputOverDirect,
        cell.throughputOverBare,
      ]),
    ),
    table(
      [`${throughput.connections} connections`, 'calls/s', 'CPU µs/call of the middle'],
      Object.entries(throughput.ways).map(([name, way]) => [name, way.callsPerSecond, way.cpuMicros]),
    ),
    table(
      ['at a fixed rate', 'direct p50 / p99', 'bare p50 / p99', 'gateway p50 / p99', 'added p50 / p99'],
      latency.map((one) => [
        `${one.era}, ${one.perSecond}/s`,
        ...[one.direct, one.bare, one.gateway, one.added].map(({ p50, p99 }) => `${p50} / ${p99} ms`),
      ]),
    ),
    table(
      ['alone', 'measured'],
      [
        ['a flush of this disk, in each call', `p50 ${flush.p50} ms, p99 ${flush.p99} ms`],
        [`an idle session (${sessions.count} of them)`, `${sessions.heapKiB} KiB heap, ${sessions.rssKiB} KiB RSS`],
        ['a 10 MB result', `${largeResult.growthOverPayload} × its size in RSS, ${largeResult.milliseconds} ms`],
        ['the pipeline in-process', `${pipeline.cpuMicrosPerCall} µs CPU a call, ${pipeline.callsPerSecond} calls/s`],
        ['second start until ready', `${startUp.readyMs} ms`],
      ],
    ),
  ].join('\n\n')
}

export function describeMachine(): string {
  const all = cpus()
  const memory = Math.round(totalmem() / 2 ** 30)
  return `${all.length} × ${all[0]?.model.trim() ?? 'CPU'}, ${memory} GiB, ${process.platform}, Node ${process.version}`
}

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}
