import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { sql, type Kysely } from 'kysely'
import { describe, expect, it } from 'vitest'
import { forEachEngine } from '../storage/testing.ts'
import { isProblem } from '#kernel'
import { BAD_PUBLIC_KEY, type Decision } from './index.ts'
import { GENESIS, sealRecord } from './seal.ts'
import type { RecordRow } from './tables.ts'
import { callOf, openTestTrail, recordCalls, type TestTrail } from './testing.ts'

type Tables = { audit_record: RecordRow }

/** Chain 1 with the records 1…`count`+1, closed; chain 2 has just begun. */
async function openClosedChain(engine: 'sqlite' | 'postgres', count = 20) {
  const trail = await openTestTrail(engine, { checkpointEveryRecords: 8 })
  await recordCalls(trail.audit, count)
  await trail.restart()
  const db = trail.storage.tables<Tables>()
  const rows = await db.selectFrom('audit_record').selectAll().orderBy('chain').orderBy('seq').execute()
  const chain = rows[0]?.chain ?? ''
  return { trail, db, chain, last: count + 1, [Symbol.asyncDispose]: () => trail[Symbol.asyncDispose]() }
}

async function faultOf(trail: TestTrail) {
  const { problem } = await trail.audit.verify()
  return problem && { chain: problem.chain, seq: problem.seq, kind: problem.kind }
}

const move = (db: Kysely<Tables>, chain: string, from: number, to: number) =>
  sql`update audit_record set seq = ${to} where chain = ${chain} and seq = ${from}`.execute(db)
const remove = (db: Kysely<Tables>, chain: string, seq: number) =>
  sql`delete from audit_record where chain = ${chain} and seq = ${seq}`.execute(db)

async function rowAt(db: Kysely<Tables>, chain: string, seq: number): Promise<RecordRow> {
  return db
    .selectFrom('audit_record')
    .selectAll()
    .where('chain', '=', chain)
    .where('seq', '=', seq)
    .executeTakeFirstOrThrow()
}

/** What a careful forger writes: a record that fits what is before it. */
async function forge(db: Kysely<Tables>, chain: string, seq: number): Promise<void> {
  const before = await rowAt(db, chain, seq - 1)
  const { row } = sealRecord({ chain, seq: seq - 1, hash: before.hash }, Date.now(), callOf(seq, { userId: 'mallory' }))
  const placed = {
    ...before,
    seq,
    user_id: 'mallory',
    trace_id: String(row[9]),
    at: Number(row[2]),
    what: 'tools/call',
  }
  const columns = {
    gateway: 'demo',
    server: 'everything',
    tool: 'echo',
    record: String(row[10]),
    hash: String(row[11]),
  }
  await db
    .insertInto('audit_record')
    .values({ ...placed, ...columns })
    .execute()
}

forEachEngine((engine) => {
  it.each([
    ['the text of a record', 'record', "replace(record, 'user3@', 'user4@')", 5],
    // No hash has an exclamation mark: base64url does not, so this is another one whatever it was.
    ['the hash of a record', 'hash', "'!' || substr(hash, 2)", 5],
    ['a record into something else', 'record', "'{}'", 7],
    ['the column at', 'at', 'at + 1', 7],
    ['the column decision', 'decision', "'denied'", 7],
    ['the column user_id', 'user_id', 'null', 7],
    ['the column tool', 'tool', "'other'", 7],
  ])('names a record when someone edits %s', async (_what, column, value, seq) => {
    await using given = await openClosedChain(engine)

    await sql`update audit_record set ${sql.ref(column)} = ${sql.raw(value)}
      where chain = ${given.chain} and seq = ${seq}`.execute(given.db)

    expect(await faultOf(given.trail)).toEqual({ chain: given.chain, seq, kind: 'edited' })
  })

  it('names an edited record although its hash was made anew', async () => {
    await using given = await openClosedChain(engine)

    await remove(given.db, given.chain, 5)
    await forge(given.db, given.chain, 5)

    expect(await faultOf(given.trail)).toEqual({ chain: given.chain, seq: 5, kind: 'edited' })
  })

  it('a chain that was made anew contradicts its checkpoint', async () => {
    await using given = await openClosedChain(engine)

    await sql`delete from audit_record where chain = ${given.chain} and seq >= 5`.execute(given.db)
    for (let seq = 5; seq <= given.last; seq++) await forge(given.db, given.chain, seq)

    expect(await faultOf(given.trail)).toMatchObject({ chain: given.chain, kind: 'checkpoint-mismatch' })
  })

  it.each([
    ['the first', 1, 'removed'],
    ['one in the middle', 9, 'removed'],
    ['the last', 21, 'truncated'],
  ])('names a removed record: %s', async (_which, seq, kind) => {
    await using given = await openClosedChain(engine)

    await remove(given.db, given.chain, seq)

    expect(await faultOf(given.trail)).toEqual({ chain: given.chain, seq, kind })
  })

  it('names a removed record although the ones after it were numbered anew', async () => {
    await using given = await openClosedChain(engine)

    await remove(given.db, given.chain, 9)
    for (let seq = 10; seq <= given.last; seq++) await move(given.db, given.chain, seq, seq - 1)

    expect(await faultOf(given.trail)).toEqual({ chain: given.chain, seq: 9, kind: 'removed' })
  })

  it('names the first of two swapped records', async () => {
    await using given = await openClosedChain(engine)

    await move(given.db, given.chain, 6, 1_000)
    await move(given.db, given.chain, 14, 6)
    await move(given.db, given.chain, 1_000, 14)

    expect(await faultOf(given.trail)).toEqual({ chain: given.chain, seq: 6, kind: 'reordered' })
  })

  it('names a forged record in the middle', async () => {
    await using given = await openClosedChain(engine)

    for (let seq = given.last; seq >= 6; seq--) await move(given.db, given.chain, seq, seq + 1)
    await forge(given.db, given.chain, 6)

    expect(await faultOf(given.trail)).toEqual({ chain: given.chain, seq: 6, kind: 'inserted' })
  })

  it('names a forged record after the end of a closed chain', async () => {
    await using given = await openClosedChain(engine)

    await forge(given.db, given.chain, given.last + 1)

    expect(await faultOf(given.trail)).toEqual({ chain: given.chain, seq: given.last + 1, kind: 'inserted' })
  })

  it('names a forged record after the end of the chain that is being written, and writing goes on', async () => {
    await using trail = await openTestTrail(engine)
    await recordCalls(trail.audit, 3)
    const chain = (await trail.audit.search({})).records[0]?.chain ?? ''
    await forge(trail.storage.tables<Tables>(), chain, 5)

    const before = await faultOf(trail)
    await recordCalls(trail.audit, 3)
    const after = await faultOf(trail)

    expect([before, after]).toMatchObject([{ chain, seq: 5, kind: 'inserted' }, null])
  })

  it('misses a whole chain, with all that the database knew of it', async () => {
    await using given = await openClosedChain(engine)

    for (const table of ['audit_record', 'audit_checkpoint', 'audit_chain'])
      await sql`delete from ${sql.table(table)} where chain = ${given.chain}`.execute(given.db)

    expect(await faultOf(given.trail)).toEqual({ chain: given.chain, seq: 1, kind: 'removed' })
  })

  it('misses the end of a chain although its checkpoints in the database were cut off as well', async () => {
    await using given = await openClosedChain(engine)

    for (const table of ['audit_record', 'audit_checkpoint'])
      await sql`delete from ${sql.table(table)} where chain = ${given.chain} and seq > 10`.execute(given.db)

    expect(await faultOf(given.trail)).toEqual({ chain: given.chain, seq: 11, kind: 'truncated' })
  })

  it('without the file, the next chain and the database still know the end', async () => {
    await using given = await openClosedChain(engine)

    await rm(join(given.trail.dataDir, 'audit-checkpoints.jsonl'))
    await remove(given.db, given.chain, given.last)

    expect(await faultOf(given.trail)).toEqual({ chain: given.chain, seq: given.last, kind: 'truncated' })
  })

  it('an edited checkpoint is not believed', async () => {
    await using given = await openClosedChain(engine)

    await sql`update audit_checkpoint set hash = 'x' where chain = ${given.chain} and seq = 1`.execute(given.db)

    expect(await faultOf(given.trail)).toEqual({ chain: given.chain, seq: 1, kind: 'checkpoint-mismatch' })
  })

  it('reads from the last checkpoint before a time only, and still finds what is wrong after it', async () => {
    await using given = await openClosedChain(engine)
    const from = Date.now()
    await remove(given.db, given.chain, 3)

    const later = await given.trail.audit.verify({ from })
    const all = await given.trail.audit.verify({ from: 0 })

    expect(later).toMatchObject({ ok: true, records: 2 })
    expect(all.problem).toMatchObject({ seq: 3, kind: 'removed' })
  })
})

describe('on sqlite', () => {
  it('accepts the right public key only', async () => {
    await using given = await openClosedChain('sqlite')
    await using other = await openTestTrail('sqlite')
    const { audit } = given.trail

    expect(await audit.verify({ publicKey: audit.publicKey() })).toMatchObject({ ok: true })
    expect(await audit.verify({ publicKey: other.audit.publicKey() })).toMatchObject({
      problem: { kind: 'checkpoint-mismatch' },
    })
    await expect(audit.verify({ publicKey: 'no key' })).rejects.toSatisfy((error) => isProblem(error, BAD_PUBLIC_KEY))
  })

  it('a line of the checkpoint file that a crash has cut off does no harm', async () => {
    await using given = await openClosedChain('sqlite')
    const file = join(given.trail.dataDir, 'audit-checkpoints.jsonl')
    await writeFile(file, `${await readFile(file, 'utf8')}\n{"chain":"chn_0`)
    await given.trail.restart()

    expect(await given.trail.audit.verify()).toMatchObject({ ok: true })
  })

  it('any record list verifies, and any single change to it is found', async () => {
    const text = fc.string({ unit: 'binary', maxLength: 300 })
    const events = fc.array(
      fc.record(
        {
          what: text,
          decision: fc.constantFrom<Decision>('allowed', 'denied'),
          userId: text,
          tool: text,
          reason: text,
          latencyMs: fc.double(),
        },
        { requiredKeys: ['what', 'decision'] },
      ),
      { minLength: 1, maxLength: 12 },
    )
    const change = fc.record({
      kind: fc.constantFrom('edit', 'remove', 'swap', 'insert'),
      at: fc.nat(),
      to: fc.nat(),
      column: fc.constantFrom('record', 'hash', 'user_id', 'tool', 'what', 'decision', 'trace_id', 'gateway', 'server'),
    })
    await fc.assert(
      fc.asyncProperty(events, change, async (list, { kind, at, to, column }) => {
        await using trail = await openTestTrail('sqlite')
        for (const event of list) await trail.audit.record(event)
        const db = trail.storage.tables<Tables>()
        const { chain } = (await trail.audit.search({})).records[0] ?? { chain: '' }
        await trail.restart()
        expect(await trail.audit.verify()).toMatchObject({ ok: true, records: list.length + 2 })

        const last = list.length + 1
        const [one, two] = [1 + (at % last), 1 + (to % last)]
        fc.pre(kind !== 'swap' || one !== two)
        if (kind === 'edit')
          await sql`update audit_record set ${sql.ref(column)} = coalesce(${sql.ref(column)}, '') || '!' where chain = ${chain} and seq = ${one}`.execute(
            db,
          )
        if (kind === 'remove') await remove(db, chain, one)
        if (kind === 'swap') {
          await move(db, chain, one, 1_000)
          await move(db, chain, two, one)
          await move(db, chain, 1_000, two)
        }
        if (kind === 'insert') {
          for (let seq = last; seq > one; seq--) await move(db, chain, seq, seq + 1)
          await forge(db, chain, one + 1)
        }

        expect((await trail.audit.verify()).problem).toMatchObject({ chain })
      }),
      { numRuns: 40 },
    )
  })
})

it('a record never fails for what a caller sent', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 3_000 }), fc.double(), (text, number) => {
      const head = { chain: 'chn_1', seq: 0, hash: GENESIS }
      const fields = { userId: text, tool: text, reason: text, client: text, toolName: text, traceId: text }

      const { row, record } = sealRecord(head, 1, {
        what: text,
        decision: 'failed',
        ...fields,
        latencyMs: number,
        extra: { text },
      })

      expect(Object.keys(JSON.parse(record))).toEqual(Object.keys(JSON.parse(record)).toSorted())
      expect(row.every((value) => typeof value !== 'string' || (value.isWellFormed() && !value.includes('\0')))).toBe(
        true,
      )
      expect(record.length).toBeLessThan(40_000)
    }),
    { numRuns: 300 },
  )
})

it('a text that is too long is cut and says how much is missing', () => {
  const { row } = sealRecord({ chain: 'c', seq: 0, hash: GENESIS }, 1, callOf(1, { userId: 'x'.repeat(300) }))

  expect(row[5]).toBe(`${'x'.repeat(252)}…+44`)
})
