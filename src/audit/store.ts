import { sql, type Kysely, type SelectQueryBuilder, type Transaction } from 'kysely'
import type { Storage } from '#storage'
import type { Checkpoint } from './checkpoint.ts'
import type { AuditFilter } from './schema.ts'
import { RECORD_COLUMNS, type Head, type Sealed } from './seal.ts'

export type RecordRow = {
  chain: string
  seq: number
  at: number
  what: string
  decision: string
  user_id: string | null
  gateway: string | null
  server: string | null
  tool: string | null
  trace_id: string | null
  record: string
  hash: string
}
type ChainRow = { chain: string; replica: string; started_at: number }
type CheckpointRow = {
  chain: string
  seq: number
  hash: string
  at: number
  is_last: number
  key_id: string
  signature: string
}
type KeyRow = { key_id: string; public_key: string; replica: string; created_at: number }

type AuditTables = {
  audit_record: RecordRow
  audit_chain: ChainRow
  audit_checkpoint: CheckpointRow
  audit_key: KeyRow
}
type Records = SelectQueryBuilder<AuditTables, 'audit_record', object>
type Position = { readonly at: number; readonly chain: string; readonly seq: number }

const CHECKPOINT_COLUMNS = ['chain', 'seq', 'hash', 'at', 'is_last', 'key_id', 'signature'] as const

export type AuditStore = ReturnType<typeof createAuditStore>

/** Every query of the room. Rows are added, never changed or removed. */
export function createAuditStore(storage: Storage) {
  const db = storage.tables<AuditTables>()
  return {
    /** One durable commit for the whole batch. */
    append: (rows: readonly Sealed['row'][]) => storage.appendRows('audit_record', RECORD_COLUMNS, rows),
    /** Adds the rows that are not there yet: for rows of which nobody knows whether they arrived. */
    appendMissing: (rows: readonly RecordRow[]) => appendMissing(db, rows),
    startChain: (chain: ChainRow, first: Sealed['row']) =>
      db.transaction().execute((tx) => startChain(tx, chain, first)),
    lastChainOf: (replica: string) => lastChainOf(db, replica),
    lastRow: (chain: string) => lastRow(db, chain),
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
    chains: () => db.selectFrom('audit_chain').selectAll().orderBy('started_at').orderBy('chain').execute(),
    /** Chains that hold records or checkpoints, listed or not. */
    chainsInUse: () => chainsInUse(db),
    page: (chain: string, afterSeq: number, limit: number) => page(db, { chain, afterSeq, limit }),
    search: (filter: AuditFilter, request: { after: Position | null; limit: number }) => search(db, filter, request),
    /** The matching records of one chain in (after, upTo], oldest first. */
    since: (filter: AuditFilter, range: { chain: string; after: number; upTo: number; limit: number }) =>
      matching(db.selectFrom('audit_record'), filter)
        .where('chain', '=', range.chain)
        .where('seq', '>', range.after)
        .where('seq', '<=', range.upTo)
        .selectAll()
        .orderBy('seq')
        .limit(range.limit)
        .execute(),
  }
}

type Db = Kysely<AuditTables>

async function startChain(tx: Transaction<AuditTables>, chain: ChainRow, first: Sealed['row']): Promise<void> {
  await tx.insertInto('audit_chain').values(chain).execute()
  const values = Object.fromEntries(RECORD_COLUMNS.map((column, index) => [column, first[index]]))
  // `row` holds the values in the order of RECORD_COLUMNS; Kysely cannot see that.
  await tx
    .insertInto('audit_record')
    .values(values as RecordRow)
    .execute()
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

function lastRow(db: Db, chain: string): Promise<Head | undefined> {
  return db
    .selectFrom('audit_record')
    .select(['chain', 'seq', 'hash'])
    .where('chain', '=', chain)
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst()
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

function search(db: Db, filter: AuditFilter, request: { after: Position | null; limit: number }): Promise<RecordRow[]> {
  let query = matching(db.selectFrom('audit_record'), filter).selectAll()
  const after = request.after
  if (after)
    query = query
      .where('at', '<=', after.at)
      .where((eb) =>
        eb.or([
          eb('at', '<', after.at),
          eb('chain', '<', after.chain),
          eb.and([eb('chain', '=', after.chain), eb('seq', '<', after.seq)]),
        ]),
      )
  return query.orderBy('at', 'desc').orderBy('chain', 'desc').orderBy('seq', 'desc').limit(request.limit).execute()
}

function matching(records: Records, filter: AuditFilter): Records {
  return records.where((eb) => {
    const is = (column: 'user_id' | 'server' | 'gateway' | 'tool' | 'trace_id' | 'decision' | 'what', value?: string) =>
      value === undefined ? [] : [eb(column, '=', value)]
    return eb.and([
      ...is('user_id', filter.user),
      ...is('server', filter.server),
      ...is('gateway', filter.gateway),
      ...is('tool', filter.tool),
      ...is('trace_id', filter.traceId),
      ...is('decision', filter.decision),
      ...is('what', filter.what),
      ...(filter.since === undefined ? [] : [eb('at', '>=', filter.since)]),
      ...(filter.until === undefined ? [] : [eb('at', '<=', filter.until)]),
      ...rareOnes(filter),
      ...(filter.text === undefined ? [] : [holdsText(filter.text)]),
    ])
  })
}

/** Says once more, word for word as the partial indexes do, what makes these records rare. */
function rareOnes(filter: AuditFilter) {
  return [
    ...(filter.decision === undefined || filter.decision === 'allowed' ? [] : [sql<boolean>`decision <> 'allowed'`]),
    ...(filter.what === undefined || filter.what === 'tools/call' ? [] : [sql<boolean>`what <> 'tools/call'`]),
  ]
}

function holdsText(text: string) {
  const asInJson = JSON.stringify(text).slice(1, -1)
  const pattern = `%${asInJson.replaceAll(/[!%_]/g, '!$&')}%`
  return sql<boolean>`lower(record) like lower(${pattern}) escape '!'`
}
