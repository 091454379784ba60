import { Counter, Histogram, type Registry } from 'prom-client'

export type HookAsked = {
  readonly hook: string
  readonly point: string
  readonly outcome: string
  readonly seconds: number
}

const OTHER = 'other'
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** Counts and times what hooks are asked; those beyond the first `maxHooks` together. */
export function createHookMeter(registry: Registry, maxHooks: number): (asked: HookAsked) => void {
  const hooks = new Set<string>()
  const requests = new Counter({
    name: 'gatehouse_hook_requests_total',
    help: 'How often hooks were asked, by point and outcome.',
    labelNames: ['hook', 'point', 'outcome'],
    registers: [registry],
  })
  const durations = new Histogram({
    name: 'gatehouse_hook_duration_seconds',
    help: 'How long hooks took to answer, with all tries.',
    labelNames: ['hook', 'outcome'],
    buckets: BUCKETS,
    registers: [registry],
  })
  return ({ hook, point, outcome, seconds }) => {
    if (hooks.size < maxHooks) hooks.add(hook)
    const name = hooks.has(hook) ? hook : OTHER
    requests.inc({ hook: name, point, outcome })
    // Nobody was asked, so there is nothing to be timed.
    if (outcome !== 'resting') durations.observe({ hook: name, outcome }, seconds)
  }
}
