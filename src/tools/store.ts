import { newId } from '#kernel'
import type { Storage } from '#storage'
import type { Kysely } from 'kysely'
import type { ChangeState, NameKind, ToolsTables } from './tables.ts'
import type { Assignment } from './views/naming.ts'

/** The only file of this room with SQL. Functions take the database first, so a caller decides about the transaction. */
export type ToolsDb = Kysely<ToolsTables>

/** This room's tables. */
export function toolsDb(storage: Storage): ToolsDb {
  return storage.tables<ToolsTables>()
}

export async function listStoredServers(db: ToolsDb): Promise<{ name: string; sealed_config: string }[]> {
  return db.selectFrom('tools_server').select(['name', 'sealed_config']).orderBy('name').execute()
}

export async function insertServer(db: ToolsDb, row: ToolsTables['tools_server']): Promise<'ok' | 'name-taken'> {
  const done = await db
    .insertInto('tools_server')
    .values(row)
    .onConflict((c) => c.column('name').doNothing())
    .executeTakeFirst()
  return done.numInsertedOrUpdatedRows === 1n ? 'ok' : 'name-taken'
}

/** False when there is no such server. */
export async function updateServer(db: ToolsDb, name: string, sealedConfig: string): Promise<boolean> {
  const done = await db
    .updateTable('tools_server')
    .set({ sealed_config: sealedConfig })
    .where('name', '=', name)
    .executeTakeFirst()
  return done.numUpdatedRows === 1n
}

/** Forgets a server with all that is remembered of it, except the changes, which are history. */
export async function deleteServer(db: ToolsDb, name: string): Promise<boolean> {
  return db.transaction().execute(async (tx) => {
    const done = await tx.deleteFrom('tools_server').where('name', '=', name).executeTakeFirst()
    await tx.deleteFrom('tools_offer').where('server', '=', name).execute()
    await tx.deleteFrom('tools_definition').where('server', '=', name).execute()
    await tx.deleteFrom('tools_name').where('server', '=', name).execute()
    return done.numDeletedRows === 1n
  })
}

export async function listStoredGateways(db: ToolsDb): Promise<{ slug: string; config: string }[]> {
  return db.selectFrom('tools_gateway').select(['slug', 'config']).orderBy('slug').execute()
}

export async function upsertGateway(db: ToolsDb, row: ToolsTables['tools_gateway']): Promise<void> {
  await db
    .insertInto('tools_gateway')
    .values(row)
    .onConflict((c) => c.column('slug').doUpdateSet({ config: row.config }))
    .execute()
}

export async function deleteGateway(db: ToolsDb, slug: string): Promise<boolean> {
  return db.transaction().execute(async (tx) => {
    const done = await tx.deleteFrom('tools_gateway').where('slug', '=', slug).executeTakeFirst()
    await tx.deleteFrom('tools_name').where('gateway', '=', slug).execute()
    return done.numDeletedRows === 1n
  })
}

export async function readOffers(db: ToolsDb): Promise<ToolsTables['tools_offer'][]> {
  return db.selectFrom('tools_offer').selectAll().execute()
}

export async function readDefinitions(db: ToolsDb, server?: string): Promise<ToolsTables['tools_definition'][]> {
  const all = db.selectFrom('tools_definition').selectAll().orderBy('server').orderBy('name')
  return (server === undefined ? all : all.where('server', '=', server)).execute()
}

export async function findOffer(db: ToolsDb, server: string): Promise<ToolsTables['tools_offer'] | undefined> {
  return db.selectFrom('tools_offer').selectAll().where('server', '=', server).executeTakeFirst()
}

/** Stores what a server offers besides tools, and locks its row until the transaction ends; true for its first offer. */
export async function saveOffer(tx: ToolsDb, row: ToolsTables['tools_offer']): Promise<boolean> {
  const inserted = await tx
    .insertInto('tools_offer')
    .values(row)
    .onConflict((c) => c.column('server').doNothing())
    .executeTakeFirst()
  if (inserted.numInsertedOrUpdatedRows === 1n) return true
  const { server, ...rest } = row
  await tx.updateTable('tools_offer').set(rest).where('server', '=', server).execute()
  return false
}

export async function upsertDefinition(db: ToolsDb, row: ToolsTables['tools_definition']): Promise<void> {
  const { server: _server, name: _name, ...rest } = row
  await db
    .insertInto('tools_definition')
    .values(row)
    .onConflict((c) => c.columns(['server', 'name']).doUpdateSet(rest))
    .execute()
}

export async function setDefinitionState(
  db: ToolsDb,
  key: { server: string; name: string },
  state: 'live' | 'held',
): Promise<void> {
  await db
    .updateTable('tools_definition')
    .set({ state })
    .where('server', '=', key.server)
    .where('name', '=', key.name)
    .execute()
}

export async function deleteDefinition(db: ToolsDb, key: { server: string; name: string }): Promise<void> {
  await db.deleteFrom('tools_definition').where('server', '=', key.server).where('name', '=', key.name).execute()
}

/** Resolves with the id of the change. */
export async function insertChange(
  db: ToolsDb,
  change: Omit<ToolsTables['tools_change'], 'id' | 'decided_at' | 'decided_by'>,
): Promise<string> {
  const id = newId('chg')
  await db
    .insertInto('tools_change')
    .values({ ...change, id, decided_at: null, decided_by: null })
    .execute()
  return id
}

/** The change of this tool that waits for an admin; there is one at the most. */
export async function findHeldChange(db: ToolsDb, server: string, name: string) {
  return db
    .selectFrom('tools_change')
    .selectAll()
    .where('server', '=', server)
    .where('name', '=', name)
    .where('state', '=', 'held')
    .executeTakeFirst()
}

/** True when an admin has already refused exactly this version of the tool. */
export async function wasRejected(db: ToolsDb, key: { server: string; name: string }, print: string): Promise<boolean> {
  const row = await db
    .selectFrom('tools_change')
    .select('id')
    .where('server', '=', key.server)
    .where('name', '=', key.name)
    .where('state', '=', 'rejected')
    .where('fingerprint', '=', print)
    .executeTakeFirst()
  return row !== undefined
}

export async function findChange(db: ToolsDb, id: string) {
  return db.selectFrom('tools_change').selectAll().where('id', '=', id).executeTakeFirst()
}

/** The newest first. */
export async function listChanges(db: ToolsDb, filter: { server?: string; state?: ChangeState; limit: number }) {
  let query = db.selectFrom('tools_change').selectAll().orderBy('id', 'desc').limit(filter.limit)
  if (filter.server !== undefined) query = query.where('server', '=', filter.server)
  if (filter.state !== undefined) query = query.where('state', '=', filter.state)
  return query.execute()
}

/** False when the change is not held (any more): somebody else was first. */
export async function decideChange(
  db: ToolsDb,
  id: string,
  decision: { state: ChangeState; at: number; by: string | null },
): Promise<boolean> {
  const done = await db
    .updateTable('tools_change')
    .set({ state: decision.state, decided_at: decision.at, decided_by: decision.by })
    .where('id', '=', id)
    .where('state', '=', 'held')
    .executeTakeFirst()
  return done.numUpdatedRows === 1n
}

export async function readNames(db: ToolsDb, gateway: string, kind: NameKind): Promise<Assignment[]> {
  return db
    .selectFrom('tools_name')
    .select(['name', 'server', 'original'])
    .where('gateway', '=', gateway)
    .where('kind', '=', kind)
    .orderBy('server')
    .orderBy('original')
    .execute()
}

/** Stores new assignments; where another replica was first, its assignment stays and is returned by the next read. */
export async function saveNames(
  db: ToolsDb,
  place: { gateway: string; kind: NameKind },
  assignments: readonly Assignment[],
): Promise<void> {
  for (let start = 0; start < assignments.length; start += 200) {
    const rows = assignments.slice(start, start + 200).map((assignment) => ({ ...place, ...assignment }))
    await db
      .insertInto('tools_name')
      .values(rows)
      .onConflict((c) =>
        c.columns(['gateway', 'kind', 'server', 'original']).doUpdateSet((eb) => ({ name: eb.ref('excluded.name') })),
      )
      .execute()
  }
}

/** Claims a key for one execution, or returns what is known of the execution that has it. An expired claim is none. */
export async function claimOnce(
  db: ToolsDb,
  row: Pick<ToolsTables['tools_once'], 'key' | 'request_hash' | 'replica' | 'started_at' | 'expires_at' | 'owner'>,
): Promise<'claimed' | ToolsTables['tools_once']> {
  const fresh = { ...row, state: 'running' as const, outcome: null, bytes: 0 }
  const { key: _key, ...rest } = fresh
  const done = await db
    .insertInto('tools_once')
    .values(fresh)
    .onConflict((c) => c.column('key').doUpdateSet(rest).where('tools_once.expires_at', '<', row.started_at))
    .executeTakeFirst()
  if (done.numInsertedOrUpdatedRows === 1n) return 'claimed'
  const known = await db.selectFrom('tools_once').selectAll().where('key', '=', row.key).executeTakeFirst()
  return known ?? claimOnce(db, row)
}

/** Keeps how the execution under this key ended. */
export async function finishOnce(
  db: ToolsDb,
  key: string,
  end: Pick<ToolsTables['tools_once'], 'state' | 'outcome' | 'bytes'>,
): Promise<void> {
  await db.updateTable('tools_once').set(end).where('key', '=', key).execute()
}

/** Takes a key over for an execution that may be made again. */
export async function reclaimOnce(db: ToolsDb, key: string, by: { replica: string; at: number }): Promise<void> {
  await db
    .updateTable('tools_once')
    .set({ state: 'running', outcome: null, bytes: 0, replica: by.replica, started_at: by.at })
    .where('key', '=', key)
    .execute()
}

/** Gives a key back: its call was refused before anything was executed. */
export async function releaseOnce(db: ToolsDb, key: string): Promise<void> {
  await db.deleteFrom('tools_once').where('key', '=', key).where('state', '=', 'running').execute()
}

/** Forgets executions whose time is over. */
export async function deleteExpiredOnce(db: ToolsDb, now: number): Promise<void> {
  await db.deleteFrom('tools_once').where('expires_at', '<', now).execute()
}

export type OnceQuota = { readonly rows: number; readonly bytes: number }

/**
 * Keeps one owner's finished calls within their quota, oldest first: beyond the bytes only the outcome is forgotten, so
 * that the call is still not made twice; beyond the rows the key too.
 */
export async function trimOnce(db: ToolsDb, owner: string, quota: OnceQuota): Promise<void> {
  const done = await db
    .selectFrom('tools_once')
    .select(['key', 'bytes'])
    .where('owner', '=', owner)
    .where('state', '=', 'done')
    .orderBy('started_at', 'desc')
    .orderBy('key')
    .limit(quota.rows + TRIM_AT_ONCE)
    .execute()
  let bytes = 0
  const large = done.filter((row) => (bytes += row.bytes) > quota.bytes && row.bytes > 0).map(({ key }) => key)
  const many = done.slice(quota.rows).map(({ key }) => key)
  const emptied = { outcome: null, bytes: 0 }
  const some = large.slice(0, TRIM_AT_ONCE)
  if (some.length > 0) await db.updateTable('tools_once').set(emptied).where('key', 'in', some).execute()
  if (many.length > 0) await db.deleteFrom('tools_once').where('key', 'in', many).execute()
}

const TRIM_AT_ONCE = 500
