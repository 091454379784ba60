import { describe, expect, it } from 'vitest'
import { createMetrics } from './metrics.ts'

const call = { gateway: 'demo', server: 'ref', outcome: 'ok', seconds: 0.004 } as const

async function lines(metrics: ReturnType<typeof createMetrics>, start: string): Promise<string[]> {
  return (await metrics.render()).split('\n').filter((line) => line.startsWith(start))
}

describe('metrics', () => {
  it('count calls by gateway, server and outcome, and time them by server', async () => {
    const metrics = createMetrics()

    metrics.call(call)
    metrics.call({ ...call, outcome: 'denied' })

    expect(await lines(metrics, 'gatehouse_calls_total')).toEqual([
      'gatehouse_calls_total{gateway="demo",server="ref",outcome="ok"} 1',
      'gatehouse_calls_total{gateway="demo",server="ref",outcome="denied"} 1',
    ])
    expect(await lines(metrics, 'gatehouse_call_duration_seconds_bucket{le="0.005"')).toEqual([
      'gatehouse_call_duration_seconds_bucket{le="0.005",server="ref"} 2',
    ])
  })

  it('hold a bounded number of series however many names there are, and count every call', async () => {
    const metrics = createMetrics({ maxNames: 10 })

    for (let at = 0; at < 5_000; at++) metrics.call({ ...call, gateway: `g${at % 97}`, server: `s${at % 89}` })
    for (let at = 0; at < 50; at++) metrics.upstreamState(`s${at}`, 'healthy')

    const counted = await lines(metrics, 'gatehouse_calls_total')
    expect(counted.length).toBeLessThanOrEqual(60)
    expect(counted.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)).toBe(5_000)
    expect(counted.join()).toContain('"other"')
    expect((await lines(metrics, 'gatehouse_call_duration_seconds_count')).length).toBeLessThanOrEqual(11)
    expect((await lines(metrics, 'gatehouse_upstream_state')).length).toBe(40)
  })

  it('show the one state a server is in, until it is forgotten', async () => {
    const metrics = createMetrics()

    metrics.upstreamState('ref', 'healthy')
    metrics.upstreamState('ref', 'degraded')
    const shown = await lines(metrics, 'gatehouse_upstream_state')
    metrics.forgetServer('ref')

    expect(shown.filter((line) => line.endsWith(' 1'))).toEqual([
      'gatehouse_upstream_state{server="ref",state="degraded"} 1',
    ])
    expect(await lines(metrics, 'gatehouse_upstream_state')).toEqual([])
  })

  it('add up the watched numbers of all readers, until a reader stops', async () => {
    const metrics = createMetrics()

    const stop = metrics.watch('upstream-sessions', () => 2)
    metrics.watch('upstream-sessions', () => 3)
    const both = await lines(metrics, 'gatehouse_upstream_sessions')
    stop()

    expect(both).toEqual(['gatehouse_upstream_sessions 5'])
    expect(await lines(metrics, 'gatehouse_upstream_sessions')).toEqual(['gatehouse_upstream_sessions 3'])
  })

  it('belong to one house only', async () => {
    createMetrics().call(call)

    expect(await lines(createMetrics(), 'gatehouse_calls_total')).toEqual([])
  })

  it('count audit commits and the process itself', async () => {
    const metrics = createMetrics()

    metrics.auditCommit({ rows: 7, seconds: 0.002 })

    expect(await lines(metrics, 'gatehouse_audit_records_total')).toEqual(['gatehouse_audit_records_total 7'])
    expect(await lines(metrics, 'process_resident_memory_bytes')).toHaveLength(1)
  })
})
