import { access, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { inspect } from 'node:util'
import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { BAD_STORAGE_URL, openStorage } from './index.ts'
import { noteMigrations as migrations, type NoteTables } from './note.fixture.ts'
import { createTestPlace, forEachEngine, openTestStorage, postgresIsAvailable } from './testing.ts'

forEachEngine((engine) => {
  test('a long query lets the house go on', async () => {
    await using house = await openTestStorage({ engine, migrations })
    const before = performance.eventLoopUtilization()
    const started = performance.now()

    await sql`with recursive count(n) as (select 1 union all select n + 1 from count where n < 1200000)
      select max(n) from count`.execute(house.storage.tables())

    expect(performance.now() - started).toBeGreaterThan(50)
    expect(performance.eventLoopUtilization(before).utilization).toBeLessThan(0.4)
  })

  test('a value no engine holds is refused with advice', async () => {
    await using house = await openTestStorage({ engine, migrations })

    const query = sql`select ${true} as yes`.execute(house.storage.tables())

    await expect(query).rejects.toThrow(/select.*value 1 is of type boolean; store .*a boolean as 0 or 1/)
  })
})

describe('on sqlite', () => {
  test('a full disk rejects the batch, and what was there stays usable', async () => {
    await using house = await openTestStorage({ engine: 'sqlite', migrations })
    const db = house.storage.tables<NoteTables>()
    const rows = Array.from({ length: 100 }, (_, index) => [`${index}${'x'.repeat(5_000)}`, 1] as const)
    await sql`pragma max_page_count = 30`.execute(db)

    await expect(house.storage.appendRows('note', ['id', 'at'], rows)).rejects.toThrow(
      /append 100 rows to note: .*full/,
    )

    await expect(
      db.transaction().execute((tx) => sql`insert into note (id, at) values (hex(zeroblob(200000)), 1)`.execute(tx)),
    ).rejects.toThrow(/full/)
    expect(await db.selectFrom('note').select('id').execute()).toEqual([{ id: 'seed' }])
    await sql`pragma max_page_count = 100000`.execute(db)
    await house.storage.appendRows('note', ['id', 'at'], rows)
  })

  test('the file and its folders are for their owner only', async () => {
    await using place = await createTestPlace('sqlite')
    const folder = join(place.dataDir, 'deep', 'data')

    const storage = await openStorage({ url: `sqlite:${folder}/gatehouse.db`, dataDir: folder, migrations })

    const modes = await Promise.all(
      [folder, `${folder}/gatehouse.db`, `${folder}/gatehouse.db-wal`].map(
        async (file) => (await stat(file)).mode & 0o777,
      ),
    )
    expect(modes).toEqual([0o700, 0o600, 0o600])
    await storage.close()
    await expect(access(`${folder}/gatehouse.db-wal`)).rejects.toThrow()
  })

  test('a file that is no database is refused with its name', async () => {
    await using place = await createTestPlace('sqlite')

    const opening = openStorage({ url: `sqlite:${import.meta.filename}`, dataDir: place.dataDir, migrations })

    await expect(opening).rejects.toThrow(/open the SQLite file .*faults.test.ts: .*not a database/)
  })

  test('two that opened the same file both write', async () => {
    await using house = await openTestStorage({ engine: 'sqlite', migrations })
    const other = await house.openReplica()
    const batches = Array.from({ length: 40 }, (_, index) => index)

    await Promise.all(
      batches.map((batch) =>
        (batch % 2 ? other : house.storage).appendRows('note', ['id', 'at'], [[`${batch}`, batch]]),
      ),
    )

    expect(await house.storage.tables<NoteTables>().selectFrom('note').select('id').execute()).toHaveLength(41)
  })
})

describe.skipIf(!postgresIsAvailable())('on postgres', () => {
  test('a connection lost in a query rejects it by name, and the next query works', async () => {
    await using house = await openTestStorage({ engine: 'postgres', migrations })
    const db = house.storage.tables<NoteTables>()

    await expect(sql`select pg_terminate_backend(pg_backend_pid())`.execute(db)).rejects.toThrow(/run "select pg_term/)

    expect(await db.selectFrom('note').select('id').execute()).toEqual([{ id: 'seed' }])
  })

  test('a connection lost between two queries of a transaction rejects the transaction', async () => {
    await using house = await openTestStorage({ engine: 'postgres', migrations })
    const db = house.storage.tables<NoteTables>()

    const transaction = db.transaction().execute(async (tx) => {
      await tx.insertInto('note').values({ id: 'a', at: 1 }).execute()
      const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx)
      await sql`select pg_terminate_backend(${rows[0]?.pid ?? 0}, 5000)`.execute(db)
      await tx.insertInto('note').values({ id: 'b', at: 1 }).execute()
    })

    await expect(transaction).rejects.toThrow(/insert into "note"/)
    expect(await db.selectFrom('note').select('id').execute()).toEqual([{ id: 'seed' }])
  })

  test('swallowing an error inside a transaction does not make its commit look good', async () => {
    await using house = await openTestStorage({ engine: 'postgres', migrations })
    const db = house.storage.tables<NoteTables>()

    const transaction = db.transaction().execute(async (tx) => {
      await tx
        .insertInto('note')
        .values({ id: 'seed', at: 1 })
        .execute()
        .catch(() => {})
    })

    await expect(transaction).rejects.toThrow(/could not commit/)
  })
})

test('no error tells the password', async () => {
  await using place = await createTestPlace('sqlite')
  const closer = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
  await once(closer, 'listening')
  const address = closer.address()
  const port = typeof address === 'object' ? address?.port : 0
  const urls = [
    `postgres://user:s3cret-pw@127.0.0.1:${port}/db`,
    'postgres://user:s3cret-pw@127.0.0.1:1/db',
    'postgres://user:s3cret-pw@no host/db',
    'postgres://user:s3cret-pw@host',
    'mysql://user:s3cret-pw@host/db',
    's3cret-pw',
  ]

  const errors = await Promise.all(
    urls.map((url) =>
      openStorage({ url, dataDir: place.dataDir, migrations }).then(
        () => 'opened',
        (error: unknown) => error,
      ),
    ),
  )

  expect(inspect(errors, { depth: 10, showHidden: true })).not.toContain('s3cret-pw')
  expect(errors.map((error) => error instanceof Error)).toEqual(urls.map(() => true))
  expect(errors.slice(2)).toEqual(urls.slice(2).map(() => expect.objectContaining({ kind: BAD_STORAGE_URL })))
  closer.close()
})
