import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import { expect, it } from 'vitest'
import { isProblem } from '#kernel'
import { forEachEngine } from '../storage/testing.ts'
import { NO_PAYLOAD, NO_RECORD, OVERLOADED, PAYLOAD_DAMAGED } from './index.ts'
import { PayloadSeal, toPayload } from './payload.ts'
import { callOf, openTestTrail, recordCalls, type TestTrail } from './testing.ts'

const ADMIN = { kind: 'admin', userId: 'root', keyId: null, face: 'cli' } as const
const PAYLOAD = { arguments: { order: 'a-very-private-order' }, result: { ok: true } }

const tables = (trail: TestTrail) => trail.storage.tables<object>()

async function lastCall(trail: TestTrail) {
  const { records } = await trail.audit.search({ what: 'tools/call' }, { limit: 1 })
  const [record] = records
  if (!record) throw new Error('there is no call')
  return record
}

const kindOf = (work: Promise<unknown>) =>
  work.then(
    () => 'read',
    (error: unknown) => (isProblem(error) ? error.kind.code : 'a bug'),
  )

forEachEngine((engine) => {
  it('a payload is read as it was recorded, and the reading is recorded', async () => {
    await using trail = await openTestTrail(engine)
    await Promise.all([
      trail.audit.record(callOf(1)),
      trail.audit.record(callOf(2, { userId: 'with' }), PAYLOAD),
      trail.audit.record(callOf(3)),
    ])
    const { records } = await trail.audit.search({ user: 'with' })
    const [place] = records

    const { payload } = await trail.audit.readPayload(ADMIN, place ?? { chain: '', seq: 0 })

    expect(payload).toEqual(PAYLOAD)
    const read = await trail.audit.search({ what: 'audit.payload-read' })
    expect(read.records).toMatchObject([{ userId: 'root', extra: { chain: place?.chain, seq: place?.seq } }])
    expect(await trail.audit.verify()).toMatchObject({ ok: true, records: 5 })
  })

  it('nothing of it stands in the database, nor in a backup, in the clear', async () => {
    await using trail = await openTestTrail(engine)
    await trail.audit.record(callOf(2), PAYLOAD)
    const backup = join(trail.dataDir, 'backup.jsonl')

    await trail.storage.backup(backup)

    const text = await readFile(backup, 'utf8')
    const bytes = [...text.matchAll(/"bytes":"([^"]+)"/g)].map(([, base64 = '']) =>
      Buffer.from(base64, 'base64').toString('latin1'),
    )
    expect(bytes.length).toBeGreaterThan(0)
    expect([text, ...bytes].join('\n')).not.toContain('very-private')
  })

  it('a payload that was edited, or moved to another record, is not shown', async () => {
    await using trail = await openTestTrail(engine)
    await trail.audit.record(callOf(1), PAYLOAD)
    const first = await lastCall(trail)
    await trail.audit.record(callOf(2), { arguments: { order: 'another' } })
    const second = await lastCall(trail)
    await sql`update audit_payload set sealed = (select sealed from audit_payload where seq = ${first.seq}),
      sealed_key = (select sealed_key from audit_payload where seq = ${first.seq}) where seq = ${second.seq}`.execute(
      tables(trail),
    )

    expect(await kindOf(trail.audit.readPayload(ADMIN, second))).toBe(PAYLOAD_DAMAGED.code)
    expect(await kindOf(trail.audit.readPayload(ADMIN, first))).toBe('read')
    expect(await kindOf(trail.audit.readPayload(ADMIN, { ...first, seq: 99 }))).toBe(NO_RECORD.code)
    const { records } = await trail.audit.search({ what: 'audit.payload-read', decision: 'failed' })
    expect(records).toHaveLength(1)
    expect(await trail.audit.verify()).toMatchObject({
      ok: false,
      faults: [{ chain: second.chain, seq: second.seq, kind: 'edited' }],
    })
  })

  it('a payload that nobody recorded is found', async () => {
    await using trail = await openTestTrail(engine)
    await trail.audit.record(callOf(1), PAYLOAD)
    await recordCalls(trail.audit, 20)
    const last = await lastCall(trail)
    await sql`update audit_payload set seq = ${last.seq}`.execute(tables(trail))

    expect((await trail.audit.verify()).faults).toMatchObject([{ seq: last.seq, kind: 'edited' }])
  })

  it('a payload can be removed without breaking the chain', async () => {
    await using trail = await openTestTrail(engine)
    await trail.audit.record(callOf(1), PAYLOAD)
    await recordCalls(trail.audit, 3)

    await sql`delete from audit_payload`.execute(tables(trail))

    const { records } = await trail.audit.search({ what: 'tools/call' })
    const record = records.find(({ payloadHash }) => payloadHash !== undefined)
    expect(await kindOf(trail.audit.readPayload(ADMIN, record ?? { chain: '', seq: 0 }))).toBe(NO_PAYLOAD.code)
    expect(await trail.audit.verify()).toMatchObject({ ok: true })
  })

  it('spool: a payload waits on disk with its record, sealed, and comes with it', async () => {
    await using trail = await openTestTrail(engine, { retryMs: 20, onStoreFailure: 'spool' })
    await trail.audit.record(callOf(0))
    await sql`alter table audit_record rename to audit_record_away`.execute(tables(trail))
    await trail.audit.record(callOf(1), PAYLOAD)
    const [file = ''] = (await readdir(trail.dataDir)).filter((name) => name.startsWith('audit-spool'))
    const spooled = await readFile(join(trail.dataDir, file), 'utf8')
    await sql`alter table audit_record_away rename to audit_record`.execute(tables(trail))
    await expect.poll(() => trail.audit.state().writesTo).toBe('store')

    const { payload } = await trail.audit.readPayload(ADMIN, await lastCall(trail))

    expect(payload).toEqual(PAYLOAD)
    expect(spooled).toContain('"sealed"')
    expect(spooled).not.toContain('very-private')
  })

  it('what is refused leaves neither record nor payload', async () => {
    await using trail = await openTestTrail(engine, { retryMs: 20 })
    await trail.audit.record(callOf(0))
    await sql`alter table audit_payload rename to audit_payload_away`.execute(tables(trail))

    const refused = await trail.audit.record(callOf(1), PAYLOAD).catch((error: unknown) => error)

    await sql`alter table audit_payload_away rename to audit_payload`.execute(tables(trail))
    await expect
      .poll(() =>
        trail.audit.record(callOf(2)).then(
          () => 'stored',
          () => 'refused',
        ),
      )
      .toBe('stored')
    expect(isProblem(refused)).toBe(true)
    expect((await trail.audit.search({ what: 'tools/call' })).records).toHaveLength(2)
    expect(await trail.audit.verify()).toMatchObject({ ok: true, records: 3 })
  })
})

it('payloads that wait have a limit', async () => {
  await using trail = await openTestTrail('sqlite', { maxWaitingChars: 10_000 })
  const large = { result: { text: 'x'.repeat(4_000) } }

  const outcomes = await Promise.all(Array.from({ length: 5 }, (_, n) => kindOf(trail.audit.record(callOf(n), large))))
  await trail.audit.record(callOf(9), large)

  expect(outcomes.filter((outcome) => outcome === OVERLOADED.code)).toHaveLength(3)
})

it('a commit takes only so much of payloads, and all of them arrive', async () => {
  await using trail = await openTestTrail('sqlite', { maxBatchChars: 10_000 })
  const large = { result: { text: 'x'.repeat(4_000) } }

  await Promise.all(Array.from({ length: 20 }, (_, n) => trail.audit.record(callOf(n), large)))

  const { rows } = await sql<{ n: number }>`select count(*) as n from audit_payload`.execute(tables(trail))
  expect(Number(rows[0]?.n)).toBe(20)
  expect(await trail.audit.verify()).toMatchObject({ ok: true, records: 21 })
})

it('two processes, and two days, have different data keys, and the house key opens all', () => {
  const key = Buffer.alloc(32, 7)
  const place = { chain: 'chn_a', seq: 1, at: 0 }
  const [one, other] = [new PayloadSeal(key), new PayloadSeal(key)]
  const rows = [
    one.seal(place, toPayload({ n: 1 })),
    one.seal({ ...place, at: 90_000_000 }, toPayload({ n: 2 })),
    other.seal(place, toPayload({ n: 3 })),
  ]

  expect(new Set(rows.map(({ sealed_key }) => Buffer.from(sealed_key).toString('hex'))).size).toBe(3)
  expect(rows.map((row) => JSON.parse(other.open(row) ?? '{}').n)).toEqual([1, 2, 3])
  expect(rows.map((row) => new PayloadSeal(Buffer.alloc(32, 8)).open(row))).toEqual([undefined, undefined, undefined])
})
