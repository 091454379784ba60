import type { Kysely, Transaction } from 'kysely'
import type { Storage } from '#storage'
import type { Checkpoint } from './checkpoint.ts'
import type { AuditFilter } from './schema.ts'
import type { PayloadRow } from './payload.ts'
import { RECORD_COLUMNS, type Head, type Sealed } from './seal.ts'
import { createRetentionQueries, removals } from './store-retention.ts'
import { matching, search, windowEnd, type Window } from './store-search.ts'
import type { AuditTables, ChainRow, KeyRow, Position, RecordRow } from './tables.ts'

const CHECKPOINT_COLUMNS = ['chain', 'seq', 'hash', 'at', 'is_last', 'key_id', 'signature'] as const

export type AuditStore = ReturnType<typeof createAuditStore>

/** Every query of the room; those of a search are in `store-search.ts`, those of retention in `store-retention.ts`. Rows are added, never changed; only retention removes any (`retention.ts`). */
export function createAuditStore(storage: Storage) {
  const db = storage.tables<AuditTables>()
  return {
    /** One durable commit for the whole batch. */
    append: (rows: readonly Sealed['row'][], payloads: readonly PayloadRow[] = []) =>
      payloads.length === 0
        ? storage.appendRows('audit_record', RECORD_COLUMNS, rows)
        : db.transaction().execute((tx) => appendBoth(tx, rows, payloads)),
    /** Adds the rows that are not there yet: for rows of which nobody knows whether they arrived. */
    appendMissing: (rows: readonly RecordRow[], payloads: readonly PayloadRow[]) =>
      db.transaction().execute(async (tx) => {
        await appendMissing(tx, rows)
        await appendPayloads(tx, payloads)
      }),
    startChain: (chain: ChainRow, first: Sealed['row']) =>
      db.transaction().execute((tx) => startChain(tx, chain, first)),
    lastChainOf: (replica: string) => lastChainOf(db, replica),
    lastRow: (chain: string) => lastRow(db, chain),
    rowAt: ({ chain, seq }: { chain: string; seq: number }) =>
      db.selectFrom('audit_record').selectAll().where('chain', '=', chain).where('seq', '=', seq).executeTakeFirst(),
    payloadAt: ({ chain, seq }: { chain: string; seq: number }) =>
      db.selectFrom('audit_payload').selectAll().where('chain', '=', chain).where('seq', '=', seq).executeTakeFirst(),
    /** In the order of their places, each beside its record. */
    payloadsAfter: (place: { chain: string; seq: number }, limit: number) => payloadsAfter(db, place, limit),
    hashAt: (chain: string, seq: number) => hashAt(db, chain, seq),
    addKey: (key: KeyRow) =>
      db
        .insertInto('audit_key')
        .values(key)
        .onConflict((conflict) => conflict.doNothing())
        .execute(),
    publicKeys: () => db.selectFrom('audit_key').select('public_key').orderBy('created_at').limit(10_000).execute(),
    addCheckpoint: (point: Checkpoint) =>
      storage.appendRows('audit_checkpoint', CHECKPOINT_COLUMNS, [
        [point.chain, point.seq, point.hash, point.at, point.isLast ? 1 : 0, point.keyId, point.signature],
      ]),
    checkpointsOf: (chain: string) => checkpointsOf(db, chain),
    ...createRetentionQueries(db),
    /** How far each chain was sent to the collector. */
    forwarded: async () =>
      new Map((await db.selectFrom('audit_forwarded').selectAll().execute()).map(({ chain, seq }) => [chain, seq])),
    setForwarded: (chain: string, seq: number) =>
      db
        .insertInto('audit_forwarded')
        .values({ chain, seq })
        .onConflict((conflict) => conflict.column('chain').doUpdateSet({ seq }))
        .execute(),
    chains: () => db.selectFrom('audit_chain').selectAll().orderBy('started_at').orderBy('chain').execute(),
    /** Chains that hold records or checkpoints, listed or not. */
    chainsInUse: () => chainsInUse(db),
    page: (chain: string, afterSeq: number, limit: number) => page(db, { chain, afterSeq, limit }),
    windowEnd: (filter: AuditFilter, window: { after: Position | null; rows: number }) => windowEnd(db, filter, window),
    search: (filter: AuditFilter, window: Window) => search(db, filter, window),
    /** The matching records of one chain in (after, upTo], oldest first. */
    since: (filter: AuditFilter, range: { chain: string; after: number; upTo: number }) =>
      matching(db.selectFrom('audit_record').selectAll(), filter)
        .where('chain', '=', range.chain)
        .where('seq', '>', range.after)
        .where('seq', '<=', range.upTo)
        .orderBy('seq')
        .execute(),
  }
}

type Db = Kysely<AuditTables>

/** One transaction: a record that names a payload is never there without it, nor the other way round. */
async function appendBoth(
  tx: Transaction<AuditTables>,
  rows: readonly Sealed['row'][],
  payloads: readonly PayloadRow[],
): Promise<void> {
  const records = rows.map(toRecordRow)
  for (let index = 0; index < records.length; index += 50)
    await tx
      .insertInto('audit_record')
      .values(records.slice(index, index + 50))
      .execute()
  await appendPayloads(tx, payloads)
}

async function appendPayloads(tx: Transaction<AuditTables>, payloads: readonly PayloadRow[]): Promise<void> {
  for (let index = 0; index < payloads.length; index += 50)
    await tx
      .insertInto('audit_payload')
      .values(payloads.slice(index, index + 50))
      .onConflict((conflict) => conflict.columns(['chain', 'seq']).doNothing())
      .execute()
}

/** `row` holds the values in the order of RECORD_COLUMNS; Kysely cannot see that. */
function toRecordRow(row: Sealed['row']): RecordRow {
  return Object.fromEntries(RECORD_COLUMNS.map((column, index) => [column, row[index]])) as RecordRow
}

async function startChain(tx: Transaction<AuditTables>, chain: ChainRow, first: Sealed['row']): Promise<void> {
  await tx.insertInto('audit_chain').values(chain).execute()
  await tx.insertInto('audit_record').values(toRecordRow(first)).execute()
}

async function appendMissing(db: Db, rows: readonly RecordRow[]): Promise<void> {
  // 50 rows of 12 values stay below every engine's limit of parameters.
  for (let index = 0; index < rows.length; index += 50) {
    await db
      .insertInto('audit_record')
      .values(rows.slice(index, index + 50))
      .onConflict((conflict) => conflict.columns(['chain', 'seq']).doNothing())
      .execute()
  }
}

async function lastChainOf(db: Db, replica: string): Promise<string | undefined> {
  const row = await db
    .selectFrom('audit_chain')
    .select('chain')
    .where('replica', '=', replica)
    .orderBy('started_at', 'desc')
    .orderBy('chain', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row?.chain
}

/** Where all of it was removed, the end that the removal names. */
async function lastRow(db: Db, chain: string): Promise<Head | undefined> {
  const row = await db
    .selectFrom('audit_record')
    .select(['chain', 'seq', 'hash'])
    .where('chain', '=', chain)
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst()
  if (row) return row
  const last = (await removals(db, chain)).at(-1)
  return last && { chain, seq: last.seq, hash: last.hash }
}

export type StoredPayload = PayloadRow & { readonly record: string | null }

function payloadsAfter(db: Db, place: { chain: string; seq: number }, limit: number): Promise<StoredPayload[]> {
  return db
    .selectFrom('audit_payload as payload')
    .leftJoin('audit_record as record', (join) =>
      join.onRef('record.chain', '=', 'payload.chain').onRef('record.seq', '=', 'payload.seq'),
    )
    .selectAll('payload')
    .select('record.record')
    .where((eb) =>
      eb.or([
        eb('payload.chain', '>', place.chain),
        eb.and([eb('payload.chain', '=', place.chain), eb('payload.seq', '>', place.seq)]),
      ]),
    )
    .orderBy('payload.chain')
    .orderBy('payload.seq')
    .limit(limit)
    .execute()
}

async function hashAt(db: Db, chain: string, seq: number): Promise<string | undefined> {
  const query = db.selectFrom('audit_record').select('hash').where('chain', '=', chain).where('seq', '=', seq)
  return (await query.executeTakeFirst())?.hash
}

async function checkpointsOf(db: Db, chain: string): Promise<Checkpoint[]> {
  const rows = await db.selectFrom('audit_checkpoint').selectAll().where('chain', '=', chain).orderBy('seq').execute()
  return rows.map(({ is_last, key_id, ...row }) => ({ ...row, isLast: is_last === 1, keyId: key_id }))
}

/** Steps from one chain to the next along the primary key; a `distinct` would read every record. */
async function chainsInUse(db: Db): Promise<string[]> {
  const found = new Set<string>()
  for (const table of ['audit_record', 'audit_checkpoint'] as const) {
    let chain = ''
    for (;;) {
      const query = db.selectFrom(table).select('chain').where('chain', '>', chain).orderBy('chain').limit(1)
      const next = await query.executeTakeFirst()
      if (!next) break
      chain = next.chain
      found.add(chain)
    }
  }
  return [...found]
}

/** The numbers say where a full page ends, so the engine never has to sort the rest of the chain to find it. */
async function page(db: Db, range: { chain: string; afterSeq: number; limit: number }): Promise<RecordRow[]> {
  const { chain, afterSeq, limit } = range
  const query = db.selectFrom('audit_record').selectAll().where('chain', '=', chain).where('seq', '>', afterSeq)
  const rows = await query
    .where('seq', '<=', afterSeq + limit)
    .orderBy('seq')
    .execute()
  // Fewer: the end of the chain, or records are missing and others come after them.
  return rows.length === limit ? rows : query.orderBy('seq').limit(limit).execute()
}
