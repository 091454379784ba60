/**
 * The cells of the era matrix: every client before every upstream, alone in its gateway and among all the others. One
 * house serves them all; the upstreams are the conformance fixture behind each transport that there is.
 */
import { startConformanceServer } from '../../fixtures/conformance-server.ts'
import { startSseConformanceServer } from '../../fixtures/conformance-sse.ts'
import { listenToReports } from '../../fixtures/conformance-stdio.ts'
import type { World } from '../../fixtures/conformance/world.ts'
import { startHouse, type TestHouse } from '../start-house.ts'
import { clientKinds, connect, type ClientKind, type ConnectOptions, type MatrixClient } from './clients.ts'

export const upstreams = ['legacy', 'modern', 'sse', 'stdio', 'stdio-modern'] as const
export type Upstream = (typeof upstreams)[number]

export type Cell = {
  readonly client: ClientKind
  readonly upstream: Upstream
  /** The gateway with this upstream alone, or the one with one of each. */
  readonly gateway: Upstream | 'mixed'
}

export const cells: readonly Cell[] = clientKinds.flatMap((client) =>
  upstreams.flatMap((upstream) => [
    { client, upstream, gateway: upstream },
    { client, upstream, gateway: 'mixed' as const },
  ]),
)

export type Seen = Pick<World, 'calls' | 'cancellations' | 'received'>

export type Matrix = AsyncDisposable & {
  readonly house: TestHouse
  /** What an upstream has seen. */
  at(upstream: Upstream): Seen
  connect(cell: Cell, options?: Partial<ConnectOptions>): Promise<MatrixClient>
  headers(gateway: Cell['gateway']): Record<string, string>
  /** The name of an upstream's tool in the gateway of the cell. */
  tool(cell: Cell, original: string): string
  prompt(cell: Cell, original: string): string
  /** The address of an upstream's resource or template in the gateway of the cell. */
  uri(cell: Cell, original: string): string
  urlOf(gateway: Cell['gateway']): string
}

/** Starts the upstreams and a house before them; resolves when everything is listed. `stdio` goes into their sections. */
export async function startMatrix({ stdio: more = '' }: { stdio?: string } = {}): Promise<Matrix> {
  await using parts = new AsyncDisposableStack()
  const legacy = parts.use(await startConformanceServer({ eras: 'legacy' }))
  const modern = parts.use(await startConformanceServer({ eras: 'modern' }))
  const sse = parts.use(await startSseConformanceServer())
  const stdio = parts.use(await listenToReports())
  const stdioModern = parts.use(await listenToReports({ era: 'modern' }))
  const all = { legacy, modern, sse, stdio, 'stdio-modern': stdioModern }
  const servers = {
    legacy: http('legacy', legacy.url),
    modern: http('modern', modern.url),
    sse: http('sse', sse.url),
    stdio: program('stdio', stdio.command, more),
    'stdio-modern': program('stdio-modern', stdioModern.command, more),
  }
  const house = parts.use(
    await startHouse({
      toml: [
        ...upstreams.map((name) => servers[name]),
        ...upstreams.map((name) => gateway(name, [name])),
        gateway('mixed', upstreams),
      ].join('\n'),
    }),
  )
  await house.listed()
  const slugs = [...upstreams, 'mixed'] as const
  const keys = new Map<string, string>()
  for (const slug of slugs) keys.set(slug, await house.createKey({ user: 'ada@example.com', gateway: slug }))
  const headers = (slug: string) => ({ authorization: `Bearer ${keys.get(slug) ?? ''}` })
  const urlOf = (slug: string) => `${house.url}/mcp/${slug}`
  const closing = parts.move()
  return {
    house,
    at: (upstream) => all[upstream],
    connect: (cell, options) =>
      connect(cell.client, { url: urlOf(cell.gateway), headers: headers(cell.gateway), ...options }),
    headers,
    urlOf,
    tool: (cell, original) => shownName(house, cell, { kind: 'toolByName', original }),
    prompt: (cell, original) => shownName(house, cell, { kind: 'promptByName', original }),
    uri: (cell, original) => shownName(house, cell, { kind: 'resourceByUri', original }),
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

function shownName(
  house: TestHouse,
  cell: Cell,
  { kind, original }: { kind: 'toolByName' | 'promptByName' | 'resourceByUri'; original: string },
): string {
  const view = house.gatehouse.house.snapshot().views.get(cell.gateway)
  for (const [name, bound] of view?.[kind] ?? []) {
    if (bound.server === cell.upstream && bound.original === original) return name
  }
  throw new Error(`the gateway "${cell.gateway}" shows no "${original}" of "${cell.upstream}"`)
}

function http(name: string, url: string): string {
  return `[[servers]]\nname = "${name}"\ntransport = "http"\nurl = "${url}"\n`
}

function program(name: string, command: readonly string[], more: string): string {
  return `[[servers]]\nname = "${name}"\ntransport = "stdio"\ncommand = ${JSON.stringify(command)}\n${more}\n`
}

function gateway(slug: string, servers: readonly string[]): string {
  return `[[gateways]]\nslug = "${slug}"\ntools = ${JSON.stringify(servers.map((name) => `${name}/*`))}\n`
}
