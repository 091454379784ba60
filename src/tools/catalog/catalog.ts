import { isJsonObject, type Clock, type JsonObject } from '#kernel'
import { describeChange, fingerprint, warnings } from './fingerprint.ts'
import type { ServerConfig } from '../config.ts'
import type { Definition, Offer } from '../source.ts'
import * as store from '../store.ts'
import type { ToolsTables } from '../tables.ts'

/**
 * All tools there are, as last seen, and every change to them. A server that is down keeps its place; a tool that
 * changed is taken or held back, as its server's `on_change` says (against "rug pulls").
 */
export type CatalogEntry = {
  readonly offer: Omit<Offer, 'tools'>
  readonly tools: readonly Definition[]
  /** Names of tools that are held back until an admin accepts a change. */
  readonly held: readonly string[]
}

/** What one server offers now; resolves with true when anything that a list shows has changed. */
export async function rememberOffer(
  deps: { db: store.ToolsDb; clock: Clock },
  server: Pick<ServerConfig, 'name' | 'on_change'>,
  offer: Offer,
): Promise<boolean> {
  const { tools, ...rest } = { ...offer, tools: storable(offer.tools), prompts: storable(offer.prompts) }
  const row = { server: server.name, rest: JSON.stringify(rest), offered_at: deps.clock.now() }
  const before = await store.findOffer(deps.db, server.name)
  const plan = async (db: store.ToolsDb, { isFirst }: { isFirst: boolean }) =>
    planChanges(await store.readDefinitions(db, server.name), tools, { isFirst, onChange: server.on_change })
  const isKnown = before?.rest === row.rest && (await plan(deps.db, { isFirst: false })).length === 0
  if (isKnown) return false
  await deps.db.transaction().execute(async (tx) => {
    // Every replica sees the change; the row is locked from here on, so one of them records it and the others find it done.
    const isFirst = await store.saveOffer(tx, row)
    for (const change of await plan(tx, { isFirst }))
      await applyChange(tx, { server: server.name, at: row.offered_at }, change)
  })
  return true
}

/** Names are keys in the database: one that no database takes would keep everybody's next change from being stored. */
function storable(definitions: readonly Definition[]): Definition[] {
  return definitions.filter(({ name }) => {
    if (typeof name !== 'string') return false
    return name.length <= MAX_NAME_CHARS && name.isWellFormed() && !name.includes('\0')
  })
}

const MAX_NAME_CHARS = 512

type PlannedChange = {
  readonly kind: 'added' | 'changed' | 'removed' | 'restored'
  readonly name: string
  readonly before: JsonObject | null
  readonly after: JsonObject | null
  readonly state: 'accepted' | 'held'
  /** The first list of a server is its baseline: stored, but not a change. */
  readonly isBaseline: boolean
}

/** What has to happen to what is known so that it becomes what is offered. Pure. */
export function planChanges(
  known: readonly Pick<ToolsTables['tools_definition'], 'name' | 'definition' | 'fingerprint' | 'state'>[],
  tools: readonly Definition[],
  rule: { isFirst: boolean; onChange: 'accept' | 'hold' },
): PlannedChange[] {
  const byName = new Map(known.map((row) => [row.name, row]))
  const offered = new Map(
    tools.flatMap((tool) => (typeof tool['name'] === 'string' ? [[tool['name'], tool] as const] : [])),
  )
  const state = rule.isFirst || rule.onChange === 'accept' ? 'accepted' : 'held'
  const changes: PlannedChange[] = []
  for (const [name, tool] of offered) {
    const row = byName.get(name)
    const before = row ? parseDefinition(row.definition) : null
    if (!row || row.fingerprint === '')
      changes.push({ kind: 'added', name, before, after: tool, state, isBaseline: rule.isFirst })
    else if (row.fingerprint !== fingerprint(tool))
      changes.push({ kind: 'changed', name, before, after: tool, state, isBaseline: false })
    else if (row.state === 'held')
      changes.push({ kind: 'restored', name, before, after: tool, state: 'accepted', isBaseline: false })
  }
  for (const row of known) {
    if (offered.has(row.name)) continue
    changes.push({
      kind: 'removed',
      name: row.name,
      before: parseDefinition(row.definition),
      after: null,
      state: 'accepted',
      isBaseline: false,
    })
  }
  return changes
}

/**
 * The stored definition of a held tool stays the one that was accepted: a server that takes its change back
 * ("restored") is live again by itself. A tool that is new and held is stored with an empty fingerprint.
 */
async function applyChange(
  tx: store.ToolsDb,
  place: { server: string; at: number },
  change: PlannedChange,
): Promise<void> {
  const key = { server: place.server, name: change.name }
  const print = change.after ? fingerprint(change.after) : null
  const pending = await store.findHeldChange(tx, place.server, change.name)
  if (change.state === 'held' && print !== null) {
    if (pending?.fingerprint === print || (await store.wasRejected(tx, key, print))) return
  }
  if (pending) await store.decideChange(tx, pending.id, { state: 'superseded', at: place.at, by: null })
  await applyToDefinition(tx, { ...key, at: place.at }, change)
  // What is suspicious from the first day on is told, as nobody will ever see it change.
  if (change.kind === 'restored' || (change.isBaseline && warnings(change.after).length === 0)) return
  await store.insertChange(tx, {
    ...key,
    kind: change.kind,
    state: change.state,
    diff: JSON.stringify(describeChange(change.before, change.after)),
    definition: change.after ? JSON.stringify(change.after) : null,
    fingerprint: print,
    at: place.at,
  })
}

async function applyToDefinition(
  tx: store.ToolsDb,
  key: { server: string; name: string; at: number },
  change: PlannedChange,
): Promise<void> {
  if (change.kind === 'removed') return store.deleteDefinition(tx, key)
  if (change.kind === 'restored') return store.setDefinitionState(tx, key, 'live')
  if (change.after) return storeDefinition(tx, key, { ...change, after: change.after })
}

async function storeDefinition(
  tx: store.ToolsDb,
  key: { server: string; name: string; at: number },
  change: PlannedChange & { after: JsonObject },
): Promise<void> {
  const { server, name, at } = key
  if (change.state === 'held' && change.kind === 'changed')
    return store.setDefinitionState(tx, { server, name }, 'held')
  const isHeld = change.state === 'held'
  await store.upsertDefinition(tx, {
    server,
    name,
    definition: JSON.stringify(change.after),
    fingerprint: isHeld ? '' : fingerprint(change.after),
    state: isHeld ? 'held' : 'live',
    seen_at: at,
  })
}

/** Accepts or rejects a held change; resolves with what was decided about, or null when nothing waits under this id. */
export async function decideHeldChange(
  deps: { db: store.ToolsDb; clock: Clock },
  decision: { id: string; accept: boolean; by: string },
): Promise<{ server: string; name: string } | null> {
  const at = deps.clock.now()
  return deps.db.transaction().execute(async (tx) => {
    const change = await store.findChange(tx, decision.id)
    const state = decision.accept ? 'accepted' : 'rejected'
    if (!change || !(await store.decideChange(tx, decision.id, { state, at, by: decision.by }))) return null
    if (decision.accept && change.definition !== null && change.fingerprint !== null) {
      const { server, name, definition } = change
      await store.upsertDefinition(tx, {
        server,
        name,
        definition,
        fingerprint: change.fingerprint,
        state: 'live',
        seen_at: at,
      })
    }
    return { server: change.server, name: change.name }
  })
}

/** Everything that is remembered, by server. */
export async function readCatalog(db: store.ToolsDb): Promise<ReadonlyMap<string, CatalogEntry>> {
  const definitions = Map.groupBy(await store.readDefinitions(db), (row) => row.server)
  const entries = (await store.readOffers(db)).map((row) => {
    const rows = definitions.get(row.server) ?? []
    return [row.server, toEntry(row.rest, rows)] as const
  })
  return new Map(entries)
}

function toEntry(rest: string, rows: readonly ToolsTables['tools_definition'][]): CatalogEntry {
  return {
    // The text was written by rememberOffer above, in this shape.
    offer: JSON.parse(rest) as Omit<Offer, 'tools'>,
    tools: rows.filter((row) => row.state === 'live').map((row) => parseDefinition(row.definition)),
    held: rows.filter((row) => row.state === 'held').map((row) => row.name),
  }
}

function parseDefinition(text: string): JsonObject {
  const value: unknown = JSON.parse(text)
  return isJsonObject(value) ? value : {}
}
