import { expect, test } from 'vitest'
import { NEWER_DATABASE, openStorage, type Migrations } from './index.ts'
import { noteMigrations, type NoteTables } from './note.fixture.ts'
import { createTestPlace, forEachEngine, type TestPlace } from './testing.ts'

forEachEngine((engine) => {
  test('replicas that start together run each migration once', async () => {
    await using place = await createTestPlace(engine)
    const ran: string[] = []
    const open = (name: string) => openAt(place, { migrations: noteMigrations, name, ran })

    const storages = await Promise.all(['a', 'b', 'c', 'd'].map(open))

    expect(ran).toEqual(['2026-01-01_storage_secret', '2026-02-01_note', '2026-02-02_remark'])
    const [first] = storages
    expect(await first?.tables<NoteTables>().selectFrom('note').select('id').execute()).toEqual([{ id: 'seed' }])
    await Promise.all(storages.map((storage) => storage.close()))
  })

  test('a later version runs only what is missing, in the order of keys', async () => {
    await using place = await createTestPlace(engine)
    const ran: string[] = []
    const { '2026-02-01_note': note, '2026-02-02_remark': remark } = noteMigrations
    const first = await openAt(place, { migrations: pick({ '2026-02-01_note': note }), name: 'a', ran })
    await first.close()

    const later = pick({
      '2026-03-01_none': { up: async () => {} },
      '2026-02-02_remark': remark,
      '2026-02-01_note': note,
    })
    const second = await openAt(place, { migrations: later, name: 'a', ran })
    await second.close()

    expect(ran.slice(1)).toEqual(['2026-02-01_note', '2026-02-02_remark', '2026-03-01_none'])
  })

  test('a migration that fails leaves nothing of itself and names itself', async () => {
    await using place = await createTestPlace(engine)
    const failing: Migrations = {
      '2026-02-01_half': {
        async up(db) {
          await db.schema.createTable('half').addColumn('id', 'text').execute()
          throw new Error('no further')
        },
      },
    }

    await expect(openAt(place, { migrations: failing, name: 'a' })).rejects.toThrow(/2026-02-01_half: no further/)

    const repaired: Migrations = {
      '2026-02-01_half': { up: (db) => db.schema.createTable('half').addColumn('id', 'text').execute() },
    }
    const storage = await openAt(place, { migrations: repaired, name: 'a' })
    await storage.close()
  })

  test('a new database is made as a whole, or not at all', async () => {
    await using place = await createTestPlace(engine)
    const failing: Migrations = {
      ...noteMigrations,
      '9999-01-01_last': { up: () => Promise.reject(new Error('no further')) },
    }

    await expect(openAt(place, { migrations: failing, name: 'a' })).rejects.toThrow(/9999-01-01_last: no further/)

    const storage = await openAt(place, { migrations: {}, name: 'a' }) // one with a migration left in it would be refused
    await storage.close()
  })

  test('a database of a newer version is refused', async () => {
    await using place = await createTestPlace(engine)
    const newer = await openAt(place, { migrations: noteMigrations, name: 'a' })
    await newer.close()

    const opening = openAt(place, { migrations: {}, name: 'a' })

    await expect(opening).rejects.toMatchObject({
      kind: NEWER_DATABASE,
      message: expect.stringContaining('2026-02-01_note'),
    })
  })
})

function openAt(place: TestPlace, options: { migrations: Migrations; name: string; ran?: string[] }) {
  return openStorage({
    url: place.url,
    dataDir: `${place.dataDir}/${options.name}`,
    migrations: options.migrations,
    log: (event) => event.kind === 'migrated' && options.ran?.push(event.key),
  })
}

function pick(migrations: Record<string, Migrations[string] | undefined>): Migrations {
  return Object.fromEntries(Object.entries(migrations).flatMap(([key, value]) => (value ? [[key, value]] : [])))
}
