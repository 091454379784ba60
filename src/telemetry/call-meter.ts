import { Counter, Histogram, type Registry } from 'prom-client'
import type { CallOutcomeLabel, Metrics } from './metrics.ts'

const OTHER = 'other'
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/**
 * Counts calls. The label children are made once per (gateway, server, outcome) and then only looked up; what is not
 * among the first names or pairs is counted as `other`, so a flood of names cannot grow the registry.
 */
export function createCallMeter(registry: Registry, maxNames: number): Metrics['call'] {
  const calls = new Counter({
    name: 'gatehouse_calls_total',
    help: 'Calls by how they ended.',
    labelNames: ['gateway', 'server', 'outcome'],
    registers: [registry],
  })
  const durations = new Histogram({
    name: 'gatehouse_call_duration_seconds',
    help: 'Time from the request to its answer, by server.',
    labelNames: ['server'],
    buckets: BUCKETS,
    registers: [registry],
  })
  const servers = createNames<ReturnType<typeof durations.labels>>(maxNames)
  const gateways = createNames<Map<string, Map<CallOutcomeLabel, ReturnType<typeof calls.labels>>>>(maxNames)
  let pairs = 0

  /** A pair's children; beyond the cap on pairs (four for each name) all count as one. */
  function childrenOf(gateway: string, server: string) {
    const [gatewayName, ofGateway] = gateways.entry(gateway, () => new Map())
    const [serverName] = servers.entry(server, (name) => durations.labels(name))
    const known = ofGateway.get(serverName)
    if (known) return { known, gatewayName, serverName }
    if (gatewayName !== OTHER && pairs >= maxNames * 4) return childrenOf(OTHER, OTHER)
    pairs++
    const made = new Map<CallOutcomeLabel, ReturnType<typeof calls.labels>>()
    ofGateway.set(serverName, made)
    return { known: made, gatewayName, serverName }
  }

  return ({ gateway, server, outcome, seconds }) => {
    const { known, gatewayName, serverName } = childrenOf(gateway, server)
    let counter = known.get(outcome)
    if (!counter) {
      counter = calls.labels(gatewayName, serverName, outcome)
      known.set(outcome, counter)
    }
    counter.inc()
    servers.entry(server, (name) => durations.labels(name))[1].observe(seconds)
  }
}

/** Remembers a thing for each of the first `max` names, and one for all others together. */
function createNames<Thing>(max: number) {
  const known = new Map<string, readonly [name: string, thing: Thing]>()
  return {
    entry(name: string, make: (name: string) => Thing): readonly [name: string, thing: Thing] {
      const found = known.get(name) ?? (known.size < max ? undefined : known.get(OTHER))
      if (found) return found
      const label = known.size < max ? name : OTHER
      const made = [label, make(label)] as const
      known.set(label, made)
      return made
    },
  }
}
