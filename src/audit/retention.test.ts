import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import { expect, it } from 'vitest'
import { forEachEngine, type TestEngine } from '../storage/testing.ts'
import { createAudit } from './index.ts'
import { callOf, openTestTrail, recordCalls, SILENT, type TestTrail } from './testing.ts'

const DAY_MS = 86_400_000
const KEEP = { keepMs: 30 * DAY_MS, checkpointEveryRecords: 8 }

/** Chain 1 (closed, 41 records) and the first 41 of chain 2 are forty days old; eleven more of chain 2 are new. */
async function openOld(engine: TestEngine, options: object = KEEP) {
  const clock = { ahead: 0, now: () => Date.now() + clock.ahead }
  const trail = await openTestTrail(engine, options, clock)
  await recordCalls(trail.audit, 40)
  await trail.restart()
  for (let number = 0; number < 40; number++) await trail.audit.record(callOf(number))
  // A signature has the time at which it is written, and must be old as well.
  if (options === KEEP) await expect.poll(() => lastSigned(trail)).toBe(41)
  clock.ahead += 40 * DAY_MS
  for (let number = 0; number < 11; number++) await trail.audit.record(callOf(100 + number))
  const { rows } = await sql<{ chain: string }>`select chain from audit_chain order by started_at, chain`.execute(
    tables(trail),
  )
  const [first = '', second = ''] = rows.map(({ chain }) => chain)
  return { trail, clock, first, second, [Symbol.asyncDispose]: () => trail[Symbol.asyncDispose]() }
}

/** Where the newest chain was signed last. */
async function lastSigned(trail: TestTrail): Promise<number> {
  const { rows } = await sql<{ seq: number }>`select max(seq) as seq from audit_checkpoint
    where chain = (select chain from audit_chain order by started_at desc, chain desc limit 1)`.execute(tables(trail))
  return Number(rows[0]?.seq)
}

const tables = (trail: TestTrail) => trail.storage.tables<object>()

async function seqsOf(trail: TestTrail, chain: string): Promise<number[]> {
  const { rows } = await sql<{ seq: number }>`select seq from audit_record where chain = ${chain} order by seq`.execute(
    tables(trail),
  )
  return rows.map(({ seq }) => Number(seq))
}

async function faultOf(trail: TestTrail) {
  const { problem } = await trail.audit.verify()
  return problem && { chain: problem.chain, kind: problem.kind }
}

forEachEngine((engine) => {
  it('old records go in whole signed segments, the rest verifies, and the removal is a record', async () => {
    await using given = await openOld(engine)
    const { trail, first, second } = given

    const report = await trail.audit.removeOld()

    const left = await seqsOf(trail, second)
    expect(await seqsOf(trail, first)).toEqual([])
    expect(left[0]).toBe(42)
    expect(report).toEqual({ records: 41 + (left[0] ?? 0) - 1, payloads: 0, faults: [] })
    const verdict = await trail.audit.verify()
    expect(verdict).toMatchObject({ ok: true, chains: 2, removed: { records: report.records } })
    expect(verdict.removed.until).toBeLessThan(Date.now() + DAY_MS)
    const { records } = await trail.audit.search({ what: 'audit.records-removed' })
    expect(new Set(records.map(({ extra }) => extra?.['records']))).toEqual(new Set([(left[0] ?? 0) - 1, 41]))
  })

  it('nothing is removed twice, nor before its time, and the chain goes on after a restart', async () => {
    await using given = await openOld(engine)
    const { trail, clock } = given
    await trail.audit.removeOld()

    const again = await trail.audit.removeOld()
    await trail.restart()
    await recordCalls(trail.audit, 5)
    clock.ahead += 40 * DAY_MS
    await recordCalls(trail.audit, 5)
    const later = await trail.audit.removeOld()

    expect(again.records).toBe(0)
    expect(later.records).toBeGreaterThan(10)
    expect(await trail.audit.verify()).toMatchObject({ ok: true, chains: 3 })
  })

  it.each([
    [
      'an edit',
      (seq: number) => sql`update audit_record set record = replace(record, 'demo', 'dem0') where seq = ${seq}`,
      'edited',
    ],
    ['a removal', (seq: number) => sql`delete from audit_record where seq = ${seq}`, 'removed'],
    ['a cut-off end', (seq: number) => sql`delete from audit_record where seq >= ${seq}`, 'truncated'],
    [
      'a reordering',
      (seq: number) =>
        sql`update audit_record set seq = case seq when ${seq} then ${seq + 1} + 1000 else ${seq} end where seq in (${seq}, ${seq + 1})`,
      'reordered',
    ],
    [
      'a record put back before the beginning',
      () => sql`insert into audit_record (chain, seq, at, what, decision, record, hash)
      select chain, 3, at, what, decision, record, hash from audit_record where seq = (select max(seq) from audit_record)`,
      'removed',
    ],
    ['an edit of the signed statement', () => sql`update audit_removal set seq = seq + 5`, 'checkpoint-mismatch'],
    ['another hash in it', () => sql`update audit_removal set hash = 'x'`, 'checkpoint-mismatch'],
    ['another time in it', () => sql`update audit_removal set last_at = last_at + 1`, 'checkpoint-mismatch'],
    ['a statement that is gone', () => sql`delete from audit_removal`, 'removed'],
  ])('after retention %s is still found', async (_what, tamper, kind) => {
    await using given = await openOld(engine)
    const { trail, second } = given
    await trail.audit.removeOld()
    await rm(join(trail.dataDir, 'audit-removals.jsonl'))
    const seq = (await seqsOf(trail, second)).at(4) ?? 0

    await tamper(seq).execute(tables(trail))
    // A swap in one statement would meet the unique numbers half-way.
    await sql`update audit_record set seq = seq - 1000 where seq > 1000`.execute(tables(trail))

    const { faults } = await trail.audit.verify()
    expect(faults.map((fault) => fault.kind)).toContain(kind)
  })

  it('the file beside the database proves a removal whose statement is gone from the database', async () => {
    await using given = await openOld(engine)
    await given.trail.audit.removeOld()

    await sql`delete from audit_removal`.execute(tables(given.trail))

    expect(await given.trail.audit.verify()).toMatchObject({ ok: true })
  })

  it('a statement that another key signed is not believed', async () => {
    await using given = await openOld(engine)
    const { trail } = given
    await trail.audit.removeOld()
    await sql`delete from audit_removal`.execute(tables(trail))
    const file = join(trail.dataDir, 'audit-removals.jsonl')
    const text = await readFile(file, 'utf8')

    await writeFile(file, text.replaceAll(/"keyId":"[^"]+"/g, '"keyId":"aky_mallory"'))

    expect((await faultOf(trail))?.kind).toBe('checkpoint-mismatch')
  })

  it('what was tampered with is never removed, and that is said', async () => {
    await using given = await openOld(engine)
    const { trail, first } = given
    await sql`update audit_record set user_id = 'mallory' where chain = ${first} and seq = 5`.execute(tables(trail))

    const report = await trail.audit.removeOld()

    expect(report.faults).toMatchObject([{ chain: first, seq: 5, kind: 'edited' }])
    expect(await seqsOf(trail, first)).toHaveLength(41)
    expect(await faultOf(trail)).toEqual({ chain: first, kind: 'edited' })
    const { records } = await trail.audit.search({ what: 'audit.records-removed', decision: 'failed' })
    expect(records).toHaveLength(1)
  })

  it('payloads go earlier than their records', async () => {
    await using given = await openOld(engine, { keepPayloadsMs: 7 * DAY_MS })
    const { trail, clock } = given
    await trail.audit.record(callOf(1), { result: { n: 1 } })
    clock.ahead += 8 * DAY_MS
    await trail.audit.record(callOf(2), { result: { n: 2 } })

    const report = await trail.audit.removeOld()

    expect(report).toEqual({ records: 0, payloads: 1, faults: [] })
    const { records } = await trail.audit.search({ what: 'audit.payloads-removed' })
    expect(records).toMatchObject([{ decision: 'allowed', extra: { payloads: 1 } }])
    expect(await trail.audit.verify()).toMatchObject({ ok: true })
  })

  it('two replicas at once remove, and record, every segment once', async () => {
    await using given = await openOld(engine)
    const { trail, clock } = given
    const other = await trail.place.openReplica()
    const dataDir = join(trail.dataDir, 'other')
    await using second = new AsyncDisposableStack()
    const replica = await createAudit({ storage: other, clock, log: SILENT, dataDir, options: KEEP })
    second.defer(() => replica.close())

    const reports = await Promise.all([trail.audit.removeOld(), replica.removeOld()])

    const { records } = await trail.audit.search({ what: 'audit.records-removed' })
    const ranges = records.map(({ extra }) => `${JSON.stringify(extra?.['chain'])} ${JSON.stringify(extra?.['from'])}`)
    expect(new Set(ranges).size).toBe(ranges.length)
    expect(reports.reduce((sum, report) => sum + report.records, 0)).toBe(
      records.reduce((sum, { extra }) => sum + Number(extra?.['records']), 0),
    )
    expect(await trail.audit.verify()).toMatchObject({ ok: true })
    expect(await replica.verify()).toMatchObject({ ok: true })
  })

  it('verifying while old records are removed finds no fault', async () => {
    await using given = await openOld(engine)
    const { trail } = given

    const [verdict] = await Promise.all([trail.audit.verify(), trail.audit.removeOld()])

    expect(verdict).toMatchObject({ ok: true, faults: [] })
  })
})
