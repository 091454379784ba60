import type { GatewayFace } from '#gateway'
import type { Metrics, WatchedGauge } from '#telemetry'
import type { SourceUsage } from '#tools'
import type { Gatehouse } from './open.ts'

const USAGE: Readonly<Record<keyof SourceUsage, WatchedGauge>> = {
  sessions: 'upstream-sessions',
  parkedCalls: 'parked-calls',
  processes: 'processes',
  subscriptions: 'subscriptions',
}

/** Lets the metrics read what the house holds right now, whenever somebody looks. */
export function watchHouse(
  metrics: Metrics,
  { house, audit, identity, face }: Pick<Gatehouse, 'house' | 'audit' | 'identity'> & { face: GatewayFace },
): void {
  metrics.watch('client-sessions', () => face.sessions().count)
  metrics.watch('audit-queue', () => audit.state().waiting)
  metrics.watch('audit-unforwarded', () => audit.state().unforwarded)
  metrics.watch('keys-ending-soon', () => identity.expiry.count())
  metrics.watchCircuits('server', () =>
    house.servers().map(({ config, breaker }) => ({ name: config.name, isOpen: breaker.isOpen })),
  )
  for (const kind of ['sessions', 'parkedCalls', 'processes', 'subscriptions'] as const) {
    metrics.watch(USAGE[kind], () => house.servers().reduce((sum, { source }) => sum + source.usage()[kind], 0))
  }
}
