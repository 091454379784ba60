import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { isDuplicate, type Migrations } from './index.ts'
import { forEachEngine, openTestStorage } from './testing.ts'

const migrations: Migrations = {
  '2026-02-01_note': {
    async up(db) {
      await db.schema
        .createTable('note')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('at', 'bigint', (column) => column.notNull())
        .addColumn('weight', 'double precision')
        .addColumn('body', 'bytea')
        .execute()
    },
  },
}

type Tables = { note: { id: string; at: number; weight: number | null; body: Uint8Array | null } }

forEachEngine((engine) => {
  test('values come back as they were stored', async () => {
    await using house = await openTestStorage({ engine, migrations })
    const db = house.storage.tables<Tables>()
    const note = { id: 'ünïcode "\\ {,}', at: Number.MAX_SAFE_INTEGER, weight: 0.1, body: Buffer.from([0, 255, 92]) }

    await db.insertInto('note').values(note).execute()
    await house.storage.appendRows(
      'note',
      ['id', 'at', 'weight', 'body'],
      [
        ['appended "\\ {,} NULL', -1, null, null],
        ['NULL', 2, 3, Buffer.from([0, 1])],
      ],
    )

    const rows = await db.selectFrom('note').selectAll().orderBy('at').execute()
    expect(rows.map((row) => ({ ...row, body: row.body && Buffer.from(row.body) }))).toEqual([
      { id: 'appended "\\ {,} NULL', at: -1, weight: null, body: null },
      { id: 'NULL', at: 2, weight: 3, body: Buffer.from([0, 1]) },
      note,
    ])
  })

  test('counts and sums are numbers', async () => {
    await using house = await openTestStorage({ engine, migrations })
    await house.storage.appendRows(
      'note',
      ['id', 'at'],
      [
        ['a', 1],
        ['b', 2],
      ],
    )

    const { rows } = await sql`select count(*) as many, sum(at) as total from note`.execute(house.storage.tables())

    expect(rows).toEqual([{ many: 2, total: 3 }])
  })

  test('a batch with one bad row stores no row', async () => {
    await using house = await openTestStorage({ engine, migrations })
    const append = house.storage.appendRows(
      'note',
      ['id', 'at'],
      [
        ['a', 1],
        ['b', 2],
        ['a', 3],
      ],
    )

    await expect(append).rejects.toSatisfy(isDuplicate)
    await expect(append).rejects.toThrow(/append 3 rows to note/)

    expect(await house.storage.tables<Tables>().selectFrom('note').selectAll().execute()).toEqual([])
  })
})
