import type { World } from '#policy'
import type { House } from './house.ts'

/** This house as the policy sees it: gateways, and the things behind them. */
export function worldOf(house: Pick<House, 'snapshot' | 'gateways'>): World {
  return {
    gateways: () => house.gateways(),
    things: (gateway) => {
      const view = house.snapshot().views.get(gateway)
      if (view === undefined) return []
      return [view.toolByName, view.promptByName, view.resourceByUri].flatMap((bound) =>
        [...bound.values()].map(({ thing }) => thing),
      )
    },
  }
}
