import type { Kysely, Transaction } from 'kysely'
import { removal, type Removal } from './removal.ts'
import type { AuditTables, RemovalRow } from './tables.ts'

type Db = Kysely<AuditTables>

/** What retention asks of the store: the only queries that remove anything. */
export function createRetentionQueries(db: Db) {
  return {
    addRemoval: (statement: Removal) =>
      db
        .insertInto('audit_removal')
        .values(toRemovalRow(statement))
        .onConflict((conflict) => conflict.columns(['chain', 'seq']).doNothing())
        .execute(),
    removals: () => removals(db),
    removalsOf: (chain: string) => removals(db, chain),
    /** Removes records, their payloads and the checkpoints before the last one, up to a number. */
    removeUpTo: (chain: string, seq: number) => db.transaction().execute((tx) => removeUpTo(tx, chain, seq)),
    /** The oldest number there still is in a chain. */
    firstSeq: (chain: string) => firstSeq(db, chain),
    removePayloads: (before: number, max: number) => db.transaction().execute((tx) => removePayloads(tx, before, max)),
    /** True when the duty is this replica's until then: it was nobody's, or its own already. */
    takeDuty: (duty: { name: string; replica: string; now: number; until: number }) => takeDuty(db, duty),
    leaveDuty: (name: string, replica: string) =>
      db
        .updateTable('audit_duty')
        .set({ until_at: 0 })
        .where('name', '=', name)
        .where('replica', '=', replica)
        .execute(),
  }
}

/** What was removed, of one chain or of all, the farthest of each chain last. */
export async function removals(db: Db, chain?: string): Promise<Removal[]> {
  const all = db.selectFrom('audit_removal').selectAll()
  const query = chain === undefined ? all : all.where('chain', '=', chain)
  const rows = await query.orderBy('chain').orderBy('seq').execute()
  return rows.map(({ first_at, last_at, key_id, previous, ...row }) => ({
    ...row,
    firstAt: first_at,
    lastAt: last_at,
    keyId: key_id,
    previous: previous === null ? null : parseHead(previous),
  }))
}

/** What cannot be read was not written by us, and its signature will say so. */
function parseHead(text: string): Removal['previous'] {
  try {
    return removal.shape.previous.parse(JSON.parse(text))
  } catch {
    return null
  }
}

function toRemovalRow({ firstAt, lastAt, keyId, previous, ...row }: Removal): RemovalRow {
  return {
    ...row,
    first_at: firstAt,
    last_at: lastAt,
    key_id: keyId,
    previous: previous && JSON.stringify(previous),
  }
}

async function removeUpTo(tx: Transaction<AuditTables>, chain: string, seq: number): Promise<void> {
  await tx.deleteFrom('audit_record').where('chain', '=', chain).where('seq', '<=', seq).execute()
  await tx.deleteFrom('audit_payload').where('chain', '=', chain).where('seq', '<=', seq).execute()
  await tx.deleteFrom('audit_checkpoint').where('chain', '=', chain).where('seq', '<', seq).execute()
}

async function firstSeq(db: Db, chain: string): Promise<number | undefined> {
  const query = db.selectFrom('audit_record').select('seq').where('chain', '=', chain).orderBy('seq').limit(1)
  return (await query.executeTakeFirst())?.seq
}

async function removePayloads(tx: Transaction<AuditTables>, before: number, max: number): Promise<number> {
  const old = await tx
    .selectFrom('audit_payload')
    .select(['chain', 'seq'])
    .where('at', '<', before)
    .orderBy('at')
    .limit(max)
    .execute()
  for (const [chain, places] of Map.groupBy(old, (place) => place.chain))
    await tx
      .deleteFrom('audit_payload')
      .where('chain', '=', chain)
      .where(
        'seq',
        'in',
        places.map(({ seq }) => seq),
      )
      .execute()
  return old.length
}

async function takeDuty(db: Db, duty: { name: string; replica: string; now: number; until: number }): Promise<boolean> {
  const { name, replica, now, until } = duty
  await db
    .insertInto('audit_duty')
    .values({ name, replica, until_at: 0 })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute()
  const taken = await db
    .updateTable('audit_duty')
    .set({ replica, until_at: until })
    .where('name', '=', name)
    .where((eb) => eb.or([eb('until_at', '<', now), eb('replica', '=', replica)]))
    .executeTakeFirst()
  return Number(taken.numUpdatedRows) === 1
}
