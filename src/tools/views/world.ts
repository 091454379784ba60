import type { Member } from '#identity'
import type { Found, Thing, World } from '#policy'
import { findResource, type FoundResource } from '../call/resolve.ts'
import type { House } from '../house.ts'
import { aliasUri } from './naming.ts'
import { rehearse, type RehearsalDeps } from './rehearse.ts'
import type { GatewayView } from './view.ts'

/** This house as the policy sees it: gateways, and the things behind them. */
export function worldOf(deps: {
  readonly house: Pick<House, 'snapshot' | 'gateways' | 'server'>
  readonly content: RehearsalDeps['content']
  readonly findMember: (userId: string) => Member | null
  readonly members: () => readonly Member[]
}): World {
  const { house, findMember, members } = deps
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
    find: (gateway, wanted) => {
      const view = house.snapshot().views.get(gateway)
      return view === undefined ? null : findIn(view, wanted)
    },
    member: findMember,
    members,
    rehearse: (call) => rehearse(deps, call),
  }
}

type Wanted = { readonly kind: Thing['kind']; readonly name: string }

function findIn(view: GatewayView, { kind, name }: Wanted): Found | null {
  if (kind === 'resource') return findAddress(view, name)
  const all = kind === 'tool' ? view.toolByName : view.promptByName
  const bound = all.get(name) ?? all.values().find(({ server, original }) => `${server}/${original}` === name)
  return bound === undefined ? null : { thing: bound.thing, things: [bound.thing] }
}

/** A resource by its address here, or by its server and the address there. */
function findAddress(view: GatewayView, name: string): Found | null {
  const server = view.servers.find((one) => name.startsWith(`${one}/`))
  if (server === undefined) return foundOf(findResource(view, name))
  const uri = name.slice(server.length + 1)
  const there = view.resourceByUri.values().find((one) => one.server === server && one.original === uri)
  if (there !== undefined) return foundOf({ ...there, things: [there.thing] })
  const found = [uri, aliasUri(server, uri)].map((shown) => findResource(view, shown))
  return foundOf(found.find((one) => one?.server === server))
}

function foundOf(found: Pick<FoundResource, 'things' | 'pages'> | undefined): Found | null {
  const thing = found?.things.at(-1)
  return found === undefined || thing === undefined ? null : { thing, things: found.things, pages: found.pages }
}
