import { sql, type ExpressionBuilder, type Kysely, type SelectQueryBuilder } from 'kysely'
import type { AuditFilter } from './schema.ts'
import type { AuditTables, Position, RecordRow } from './tables.ts'

type Db = Kysely<AuditTables>

/** Where the next `rows` records of the search end, whether they match or not; nothing when fewer are left. */
export async function windowEnd(db: Db, filter: AuditFilter, window: { after: Position | null; rows: number }) {
  const query = db
    .selectFrom('audit_record')
    .select(['at', 'chain', 'seq'])
    .where((eb) => eb.and([...within(eb, filter), ...leading(eb, filter), ...older(eb, window.after)]))
  return newestFirst(query)
    .limit(1)
    .offset(window.rows - 1)
    .executeTakeFirst()
}

export type Window = { readonly after: Position | null; readonly end: Position | undefined; readonly limit: number }

/** The matching records of one window, newest first. */
export function search(db: Db, filter: AuditFilter, { after, end, limit }: Window): Promise<RecordRow[]> {
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

/** The records that the filter wants. */
export function matching<T>(records: SelectQueryBuilder<AuditTables, 'audit_record', T>, filter: AuditFilter) {
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
