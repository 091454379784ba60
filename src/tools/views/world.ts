import type { Member } from '#identity'
import type { Thing, World } from '#policy'
import { findResource } from '../call/resolve.ts'
import type { House } from '../house.ts'
import type { Bound, GatewayView } from './view.ts'

/** This house as the policy sees it: gateways, and the things behind them. */
export function worldOf(house: Pick<House, 'snapshot' | 'gateways'>, member: (userId: string) => Member | null): World {
  const things = (gateway: string): Thing[] => {
    const view = house.snapshot().views.get(gateway)
    if (view === undefined) return []
    return [view.toolByName, view.promptByName, view.resourceByUri].flatMap((bound) =>
      [...bound.values()].map(({ thing }) => thing),
    )
  }
  return {
    gateways: () => house.gateways(),
    things,
    find: (gateway, { kind, name }) => {
      const view = house.snapshot().views.get(gateway)
      if (view === undefined) return null
      const isIt = (thing: Thing): boolean => thing.kind === kind && `${thing.server}/${thing.name}` === name
      return shownAs(view, kind, name) ?? things(gateway).find(isIt) ?? null
    },
    member,
  }
}

function shownAs(view: GatewayView, kind: Thing['kind'], name: string): Thing | undefined {
  const bound: Bound | undefined =
    kind === 'tool' ? view.toolByName.get(name) : kind === 'prompt' ? view.promptByName.get(name) : undefined
  return bound?.thing ?? (kind === 'resource' ? findResource(view, name)?.things.at(-1) : undefined)
}
