import { sql, type ExpressionBuilder, type Kysely, type SelectQueryBuilder, type Transaction } from 'kysely'
import type { Storage } from '#storage'
import type { Checkpoint } from './checkpoint.ts'
import type { AuditFilter } from './schema.ts'
import type { PayloadRow } from './payload.ts'
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
  audit_payload: PayloadRow
  audit_record: RecordRow
  audit_chain: ChainRow
  audit_checkpoint: CheckpointRow
  audit_key: KeyRow
}
export type Position = { readonly at: number; readonly chain: string; readonly seq: number }

const CHECKPOINT_COLUMNS = ['chain', 'seq', 'hash', 'at', 'is_last', 'key_id', 'signature'] as const

export type AuditStore = ReturnType<typeof createAuditStore>

/** Every query of the room. Rows are added, never changed or removed. */
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

/** Where the next `rows` records of the search end, whether they match or not; nothing when fewer are left. */
async function windowEnd(db: Db, filter: AuditFilter, window: { after: Position | null; rows: number }) {
  const query = db
    .selectFrom('audit_record')
    .select(['at', 'chain', 'seq'])
    .where((eb) => eb.and([...within(eb, filter), ...leading(eb, filter), ...older(eb, window.after)]))
  return newestFirst(query)
    .limit(1)
    .offset(window.rows - 1)
    .executeTakeFirst()
}

type Window = { readonly after: Position | null; readonly end: Position | undefined; readonly limit: number }

/** The matching records of one window, newest first. */
function search(db: Db, filter: AuditFilter, { after, end, limit }: Window): Promise<RecordRow[]> {
  const query = matching(db.selectFrom('audit_record').selectAll(), filter)
  const range = query.where((eb) => eb.and([...older(eb, after), ...notOlder(eb, end)]))
  return newestFirst(range).limit(limit).execute()
}

function newestFirst<T>(query: SelectQueryBuilder<AuditTables, 'audit_record', T>) {
  return query.orderBy('at', 'desc').orderBy('chain', 'desc').orderBy('seq', 'desc')
}

type Conditions = ExpressionBuilder<AuditTables, 'audit_record'>

function older(eb: Conditions, than: Position | null) {
  if (!than) return []
  const { at, chain, seq } = than
  const sameAt = eb.or([
    eb('at', '<', at),
    eb('chain', '<', chain),
    eb.and([eb('chain', '=', chain), eb('seq', '<', seq)]),
  ])
  return [eb('at', '<=', at), sameAt]
}

function notOlder(eb: Conditions, than: Position | undefined) {
  if (!than) return []
  const { at, chain, seq } = than
  const sameAt = eb.or([
    eb('at', '>', at),
    eb('chain', '>', chain),
    eb.and([eb('chain', '=', chain), eb('seq', '>=', seq)]),
  ])
  return [eb('at', '>=', at), sameAt]
}

/** The time asked for. */
function within(eb: Conditions, { since, until }: AuditFilter) {
  return [
    ...(since === undefined ? [] : [eb('at', '>=', since)]),
    ...(until === undefined ? [] : [eb('at', '<=', until)]),
  ]
}

/** The one condition whose index the search walks along; without any, it walks along time. */
function leading(eb: Conditions, filter: AuditFilter) {
  if (filter.traceId !== undefined) return [eb('trace_id', '=', filter.traceId)]
  if (filter.user !== undefined) return [eb('user_id', '=', filter.user)]
  if (filter.tool !== undefined) return [eb('tool', '=', filter.tool)]
  if (isRefusal(filter)) return [eb('decision', '=', filter.decision), sql<boolean>`decision <> 'allowed'`]
  if (isChange(filter)) return [eb('what', '=', filter.what), sql<boolean>`what <> 'tools/call'`]
  return []
}

/** Records of these are few and have partial indexes, whose condition a query must repeat word for word. */
const isRefusal = (filter: AuditFilter): filter is AuditFilter & { decision: string } =>
  filter.decision !== undefined && filter.decision !== 'allowed'
const isChange = (filter: AuditFilter): filter is AuditFilter & { what: string } =>
  filter.what !== undefined && filter.what !== 'tools/call'

function matching<T>(records: SelectQueryBuilder<AuditTables, 'audit_record', T>, filter: AuditFilter) {
  const columns = [
    ['server', filter.server],
    ['gateway', filter.gateway],
    ['user_id', filter.user],
    ['tool', filter.tool],
    ['trace_id', filter.traceId],
    ['decision', filter.decision],
    ['what', filter.what],
  ] as const
  return records.where((eb) =>
    eb.and([
      ...within(eb, filter),
      ...leading(eb, filter),
      ...columns.flatMap(([column, value]) => (value === undefined ? [] : [eb(column, '=', value)])),
      ...MEMBERS.flatMap(([name, of]) => {
        const value = of(filter)
        return value === undefined ? [] : [holdsMember(name, value)]
      }),
      // `extra` of a change to a key names it so.
      ...(filter.key === undefined ? [] : [eb.or([holdsMember('keyId', filter.key), holdsMember('key', filter.key)])]),
      ...(filter.client === undefined ? [] : [holdsText(`"client":${JSON.stringify(filter.client).slice(0, -1)}`)]),
      ...(filter.text === undefined ? [] : [holdsText(JSON.stringify(filter.text).slice(1, -1))]),
    ]),
  )
}

/** What has no column is found in the record's own text, wherever it stands: no other text has a quote before the colon. */
const MEMBERS = [
  ['face', ({ face }: AuditFilter) => face],
  ['rule', ({ rule }: AuditFilter) => rule],
  ['policyVersion', ({ policyVersion }: AuditFilter) => policyVersion],
] as const

const holdsMember = (name: string, value: string) => holdsText(`"${name}":${JSON.stringify(value)}`)

/** `json`: as it stands in the record. In upper or lower case on both engines. */
function holdsText(json: string) {
  const pattern = `%${json.replaceAll(/[!%_]/g, '!$&')}%`
  return sql<boolean>`lower(record) like lower(${pattern}) escape '!'`
}
