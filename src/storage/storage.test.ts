import { spawn } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import fc from 'fast-check'
import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { isDuplicate } from './index.ts'
import { noteMigrations as migrations, type NoteTables } from './note.fixture.ts'
import { createTestPlace, forEachEngine, openTestStorage } from './testing.ts'
import { openStorage } from './open.ts'

forEachEngine((engine) => {
  test('values come back as they were stored', async () => {
    await using house = await openTestStorage({ engine, migrations })
    const db = house.storage.tables<NoteTables>()
    const note = { id: 'ünïcode "\\ {,}', at: Number.MAX_SAFE_INTEGER, weight: 0.1, body: Buffer.from([0, 255, 92]) }

    await db.insertInto('note').values(note).execute()
    await house.storage.appendRows(
      'note',
      ['id', 'at', 'weight', 'body'],
      [
        ['appended "\\ {,} NULL\n\ttext', -1, null, null],
        ['NULL', 2, 3, Buffer.from([0, 1])],
      ],
    )

    const rows = await db.selectFrom('note').selectAll().where('id', '!=', 'seed').orderBy('at').execute()
    expect(rows.map((row) => ({ ...row, body: row.body && Buffer.from(row.body) }))).toEqual([
      { id: 'appended "\\ {,} NULL\n\ttext', at: -1, weight: null, body: null },
      { id: 'NULL', at: 2, weight: 3, body: Buffer.from([0, 1]) },
      note,
    ])
  })

  test('any text, number and bytes come back from a batch', async () => {
    await using house = await openTestStorage({ engine, migrations })
    const db = house.storage.tables<NoteTables>()
    const text = fc.string({ unit: 'binary', maxLength: 20 }).map((value) => value.replaceAll('\0', ''))
    const row = fc.record({
      id: fc.oneof(text, fc.constantFrom('', 'NULL', '{}', '"', '\\', '\\"', ',', "'", '\ud800')),
      at: fc.maxSafeInteger(),
      weight: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0)),
      body: fc.option(fc.uint8Array({ maxLength: 20 })),
    })
    const batch = fc.uniqueArray(row, { selector: ({ id }) => id.toWellFormed(), minLength: 1, maxLength: 20 })
    const store = async (rows: NoteTables['note'][]) => {
      await db.deleteFrom('note').execute()
      const values = rows.map(({ id, at, weight, body }) => [id, at, weight, body])
      await house.storage.appendRows('note', ['id', 'at', 'weight', 'body'], values)

      const stored = await db.selectFrom('note').selectAll().execute()
      expect(new Map(stored.map(comparable))).toEqual(new Map(rows.map(comparable)))
    }

    await fc.assert(fc.asyncProperty(batch, store), { numRuns: 50 })
  })

  test('counts and sums are numbers, and a write tells how many rows it changed', async () => {
    await using house = await openTestStorage({ engine, migrations })
    const db = house.storage.tables<NoteTables>()
    await house.storage.appendRows(
      'note',
      ['id', 'at'],
      [
        ['a', 1],
        ['b', 2],
      ],
    )

    const { rows } = await sql`select count(*) as many, sum(at) as total from note`.execute(db)
    const updated = await db.updateTable('note').set({ at: 5 }).where('id', 'in', ['a', 'b']).executeTakeFirst()

    expect(rows).toEqual([{ many: 3, total: 3 }])
    expect(updated.numUpdatedRows).toBe(2n)
  })

  test('a batch with one bad row stores no row', async () => {
    await using house = await openTestStorage({ engine, migrations })
    const rows = [
      ['a', 1],
      ['b', 2],
      ['a', 3],
    ] as const

    const append = house.storage.appendRows('note', ['id', 'at'], rows)

    await expect(append).rejects.toSatisfy(isDuplicate)
    await expect(append).rejects.toThrow(/append 3 rows to note/)
    expect(await idsOf(house.storage)).toEqual(['seed'])
  })

  test('a row with too few values is refused', async () => {
    await using house = await openTestStorage({ engine, migrations })

    await expect(house.storage.appendRows('note', ['id', 'at', 'weight'], [['a', 1]])).rejects.toThrow(/2 values for 3/)
  })

  test('text with a NUL character is refused by both engines', async () => {
    await using house = await openTestStorage({ engine, migrations })
    const db = house.storage.tables<NoteTables>()

    await expect(house.storage.appendRows('note', ['id', 'at'], [['a\0b', 1]])).rejects.toThrow(/NUL/)
    await expect(db.insertInto('note').values({ id: 'a\0b', at: 1 }).execute()).rejects.toThrow(/NUL/)
  })

  test('half a surrogate pair is stored as the replacement character', async () => {
    await using house = await openTestStorage({ engine, migrations })

    await house.storage.appendRows('note', ['id', 'at'], [['a\ud800b', 1]])

    expect(await idsOf(house.storage)).toEqual(['a\ufffdb', 'seed'])
  })

  test('a failed transaction leaves nothing, and the next query works', async () => {
    await using house = await openTestStorage({ engine, migrations })
    const db = house.storage.tables<NoteTables>()

    const transfer = db.transaction().execute(async (tx) => {
      await tx.insertInto('note').values({ id: 'a', at: 1 }).execute()
      await tx.insertInto('note').values({ id: 'a', at: 2 }).execute()
    })

    await expect(transfer).rejects.toSatisfy(isDuplicate)
    expect(await idsOf(house.storage)).toEqual(['seed'])
  })

  test('a batch that comes during a transaction is not rolled back with it', async () => {
    await using house = await openTestStorage({ engine, migrations })
    const db = house.storage.tables<NoteTables>()
    const started = Promise.withResolvers<void>()
    const transaction = db.transaction().execute(async (tx) => {
      await tx.insertInto('note').values({ id: 'rolled back', at: 1 }).execute()
      started.resolve()
      await tx.selectFrom('note').selectAll().execute()
      throw new Error('changed my mind')
    })
    await started.promise

    await Promise.all([
      house.storage.appendRows('note', ['id', 'at'], [['kept', 1]]),
      expect(transaction).rejects.toThrow('changed my mind'),
    ])

    expect(await idsOf(house.storage)).toEqual(['kept', 'seed'])
  })

  test('a foreign key without its row is refused', async () => {
    await using house = await openTestStorage({ engine, migrations })
    const db = house.storage.tables<NoteTables>()

    await expect(db.insertInto('remark').values({ id: 'r', note_id: 'none', text: '' }).execute()).rejects.toThrow(
      /insert into "remark".*foreign key/i,
    )
  })

  test('every acknowledged row survives kill -9', async () => {
    await using place = await createTestPlace(engine)
    const writer = spawn(process.execPath, [
      join(import.meta.dirname, 'append-loop.fixture.ts'),
      place.url,
      place.dataDir,
    ])
    const acknowledged: string[] = []
    for await (const line of createInterface({ input: writer.stdout })) {
      acknowledged.push(line)
      if (acknowledged.length === 100) writer.kill('SIGKILL')
    }

    await using house = await reopen(place)
    const ids = new Set(await idsOf(house))

    expect(acknowledged.length).toBeGreaterThanOrEqual(100)
    expect(
      acknowledged.flatMap((batch) => [1, 2, 3].map((row) => `${batch}-${row}`)).filter((id) => !ids.has(id)),
    ).toEqual([])
    expect((ids.size - 1) % 3).toBe(0)
  })

  test('all replicas get the same shared key, and keep their own replica id', async () => {
    await using house = await openTestStorage({ engine, migrations })
    const other = await house.openReplica()

    const [first, second] = await Promise.all([house.storage.sharedKey('audit'), other.sharedKey('audit')])
    const again = await reopen(house.place)

    expect(first).toHaveLength(32)
    expect(second).toEqual(first)
    expect(await again.sharedKey('audit')).toEqual(first)
    expect(await again.sharedKey('other')).not.toEqual(first)
    expect(other.replicaId).not.toBe(house.storage.replicaId)
    expect(again.replicaId).toBe(house.storage.replicaId)
    expect((await stat(join(house.place.dataDir, 'replica-id'))).mode & 0o777).toBe(0o600)
    await again.close()
  })

  test('after close every verb rejects, and a second close does nothing', async () => {
    await using house = await openTestStorage({ engine, migrations })
    const last = house.storage.appendRows('note', ['id', 'at'], [['last', 1]])
    await Promise.all([house.storage.close(), house.storage.close()])
    await house.storage.close()
    await last

    await expect(house.storage.appendRows('note', ['id', 'at'], [['late', 1]])).rejects.toThrow(/append 1 rows to note/)
    await expect(idsOf(house.storage)).rejects.toThrow()
    await expect(house.storage.changes.publish('a')).rejects.toThrow()
  })
})

function comparable({ id, at, weight, body }: NoteTables['note']) {
  return [id.toWellFormed(), { at, weight, body: body && Buffer.from(body).toString('hex') }] as const
}

async function reopen(place: { url: string; dataDir: string }) {
  const storage = await openStorage({ url: place.url, dataDir: place.dataDir, migrations })
  return { ...storage, [Symbol.asyncDispose]: () => storage.close() }
}

async function idsOf(storage: { tables: Awaited<ReturnType<typeof openStorage>>['tables'] }): Promise<string[]> {
  const rows = await storage.tables<NoteTables>().selectFrom('note').select('id').orderBy('id').execute()
  return rows.map((row) => row.id)
}
