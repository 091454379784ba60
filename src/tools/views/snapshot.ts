import { canonicalJson, type Json } from '#kernel'
import { readCatalog, type CatalogEntry } from '../catalog/catalog.ts'
import type { GatewayConfig, ServerConfig } from '../config.ts'
import { assignNames, type Assignment } from './naming.ts'
import { readNames, saveNames, type ToolsDb } from '../store.ts'
import type { NameKind } from '../tables.ts'
import type { ListChange } from '../tools.ts'
import { buildView, nameOf, pickFrom, type GatewayView, type ViewInput } from './view.ts'

/** All that a warm call reads, compiled and immutable; a change builds the next one and swaps it whole. */
export type Snapshot = {
  readonly catalog: ReadonlyMap<string, CatalogEntry>
  readonly views: ReadonlyMap<string, GatewayView>
}

export const EMPTY_SNAPSHOT: Snapshot = { catalog: new Map(), views: new Map() }

/** Reads what is remembered, gives names to what is new, and compiles every gateway. */
export async function buildSnapshot(
  db: ToolsDb,
  house: { servers: readonly ServerConfig[]; gateways: readonly GatewayConfig[] },
): Promise<Snapshot> {
  const catalog = await readCatalog(db)
  const servers = house.servers.map((config) => ({ config, entry: catalog.get(config.name) }))
  const views = new Map<string, GatewayView>()
  for (const config of house.gateways) {
    const picked = pickFrom(config, servers)
    const wished = new Map(config.overrides.map((override) => [override.tool, override.name]))
    const tools = picked.flatMap((part) =>
      part.tools.map((tool) => ({ server: part.server.name, original: nameOf(tool) })),
    )
    const prompts = picked.flatMap((part) =>
      part.prompts.map((prompt) => ({ server: part.server.name, original: nameOf(prompt) })),
    )
    const input: ViewInput = {
      config,
      servers,
      toolNames: await nameAll(
        db,
        { gateway: config.slug, kind: 'tool' },
        tools.map((tool) => ({ ...tool, wished: wished.get(`${tool.server}/${tool.original}`) })),
      ),
      promptNames: await nameAll(db, { gateway: config.slug, kind: 'prompt' }, prompts),
    }
    views.set(config.slug, buildView(input))
  }
  return { catalog, views }
}

async function nameAll(
  db: ToolsDb,
  place: { gateway: string; kind: NameKind },
  wishes: readonly { server: string; original: string; wished?: string | undefined }[],
): Promise<Assignment[]> {
  const known = await readNames(db, place.gateway, place.kind)
  const assigned = assignNames(known, wishes)
  const before = new Map(known.map((row) => [`${row.server}/${row.original}`, row.name]))
  const fresh = assigned.filter((row) => before.get(`${row.server}/${row.original}`) !== row.name)
  if (fresh.length > 0) await saveNames(db, place, fresh)
  return assigned
}

/** Which lists of a gateway differ between two views; told to clients once per change. */
export function changedLists(before: GatewayView | undefined, after: GatewayView | undefined): ListChange[] {
  const kinds = Object.entries(LISTS_OF) as [ListChange, readonly (keyof typeof NO_LISTS)[]][] // keys of a constant
  const [old, now] = [before ?? NO_LISTS, after ?? NO_LISTS]
  return kinds.filter(([, lists]) => lists.some((list) => differs(old[list], now[list]))).map(([kind]) => kind)
}

const LISTS_OF = { tools: ['tools'], prompts: ['prompts'], resources: ['resources', 'templates'] } as const
const NO_LISTS: Pick<GatewayView, 'tools' | 'prompts' | 'resources' | 'templates'> = {
  tools: [],
  prompts: [],
  resources: [],
  templates: [],
}

function differs(before: readonly Json[], after: readonly Json[]): boolean {
  return before !== after && (before.length !== after.length || canonicalJson(before) !== canonicalJson(after))
}
