import { readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BAD_BACKUP, NEWER_DATABASE, NOT_EMPTY, openStorage, restoreStorage, type Storage } from './index.ts'
import { noteMigrations as migrations, type NoteTables } from './note.fixture.ts'
import { createTestPlace, openTestStorage, postgresIsAvailable, type TestEngine, type TestPlace } from './testing.ts'

const moves: readonly { from: TestEngine; to: TestEngine }[] = [
  { from: 'sqlite', to: 'sqlite' },
  { from: 'sqlite', to: 'postgres' },
  { from: 'postgres', to: 'sqlite' },
  { from: 'postgres', to: 'postgres' },
]
const movesHere = moves.filter(({ from, to }) => postgresIsAvailable() || (from === 'sqlite' && to === 'sqlite'))

describe.each(movesHere)('from $from to $to', ({ from, to }) => {
  test('a backup made while others write is one state of all tables', async () => {
    await using house = await openTestStorage({ engine: from, migrations })
    await using target = await createTestPlace(to)
    const file = join(house.place.dataDir, 'backup.jsonl')
    const writing = writePairs(house.storage)
    await writing.untilSome

    await house.storage.backup(file)
    writing.stop()
    const written = await writing.all
    await restoreStorage({ url: target.url, fromFile: file, migrations })

    const restored = await readAll(target)
    expect(restored.notes.length).toBe(restored.remarks.length)
    expect(restored.remarks.map((remark) => remark.note_id)).toEqual(restored.notes.map((note) => note.id))
    expect(restored.notes.length).toBeGreaterThan(0)
    expect(restored.notes.length).toBeLessThanOrEqual(written)
  })

  test('every value and the shared keys come back', async () => {
    await using house = await openTestStorage({ engine: from, migrations })
    await using target = await createTestPlace(to)
    const db = house.storage.tables<NoteTables>()
    const key = await house.storage.sharedKey('audit')
    await db.deleteFrom('note').execute()
    const note = { id: 'ü\n"', at: Number.MAX_SAFE_INTEGER, weight: 0.1, body: Buffer.from([0, 255]) }
    await db.insertInto('note').values(note).execute()
    const many = Array.from({ length: 1_001 }, (_, index) => [`n${index}`, -index] as const)
    await house.storage.appendRows('note', ['id', 'at'], many)

    await house.storage.backup(join(house.place.dataDir, 'backup.jsonl'))
    await restoreStorage({ url: target.url, fromFile: join(house.place.dataDir, 'backup.jsonl'), migrations })

    const storage = await openStorage({ ...target, migrations })
    const rows = await storage.tables<NoteTables>().selectFrom('note').selectAll().orderBy('at', 'desc').execute()
    expect(rows).toHaveLength(1_002)
    expect({ ...rows[0], body: Buffer.from(rows[0]?.body ?? []) }).toEqual(note)
    expect(await storage.sharedKey('audit')).toEqual(key)
    await storage.close()
  })
})

test('an older backup is brought to this version', async () => {
  await using house = await openTestStorage({ engine: 'sqlite', migrations: only('2026-02-01_note') })
  await using target = await createTestPlace('sqlite')
  const file = join(house.place.dataDir, 'backup.jsonl')
  await house.storage.appendRows('note', ['id', 'at'], [['a', 1]])
  await house.storage.backup(file)

  await restoreStorage({ url: target.url, fromFile: file, migrations })

  expect(await readAll(target)).toMatchObject({ notes: [{ id: 'a' }, { id: 'seed' }], remarks: [] })
})

test('a newer backup is refused', async () => {
  await using house = await openTestStorage({ engine: 'sqlite', migrations })
  await using target = await createTestPlace('sqlite')
  const file = join(house.place.dataDir, 'backup.jsonl')
  await house.storage.backup(file)

  const restoring = restoreStorage({ url: target.url, fromFile: file, migrations: only('2026-02-01_note') })

  await expect(restoring).rejects.toMatchObject({ kind: NEWER_DATABASE })
})

test('a database with tables is refused and stays as it was', async () => {
  await using house = await openTestStorage({ engine: 'sqlite', migrations })
  const file = join(house.place.dataDir, 'backup.jsonl')
  await house.storage.backup(file)
  await house.storage.appendRows('note', ['id', 'at'], [['later', 1]])

  await expect(restoreStorage({ url: house.place.url, fromFile: file, migrations })).rejects.toMatchObject({
    kind: NOT_EMPTY,
  })

  expect(await house.storage.tables<NoteTables>().selectFrom('note').select('id').execute()).toHaveLength(2)
})

const harms: readonly { harm: string; of: (lines: string[]) => string[] }[] = [
  { harm: 'cut short', of: (lines) => lines.slice(0, -1) },
  { harm: 'cut inside a line', of: (lines) => [...lines.slice(0, -1), '{"kind":"en'] },
  { harm: 'a row lost', of: (lines) => lines.filter((line) => !line.startsWith('["seed"')) },
  { harm: 'the header lost', of: (lines) => lines.slice(1) },
  { harm: 'a strange table', of: (lines) => lines.map((line) => line.replace('"remark"', '"remarks"')) },
  { harm: 'a strange column', of: (lines) => lines.map((line) => line.replace('"weight"', '"weight\\"); drop"')) },
  { harm: 'a value too many', of: (lines) => lines.map((line) => line.replace('["seed"', '[1,"seed"')) },
  { harm: 'a nested value', of: (lines) => lines.map((line) => line.replace('["seed"', '[{"x":1}')) },
  { harm: 'goes on after its end', of: (lines) => [...lines, '["x"]'] },
  { harm: 'empty', of: () => [] },
]

test.each(harms)('a harmed backup is refused and leaves nothing: $harm', async ({ of }) => {
  await using house = await openTestStorage({ engine: 'sqlite', migrations })
  await using target = await createTestPlace('sqlite')
  const file = join(house.place.dataDir, 'backup.jsonl')
  await house.storage.backup(file)
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n')
  const whole = join(house.place.dataDir, 'whole.jsonl')
  await writeFile(whole, `${lines.join('\n')}\n`)

  await writeFile(file, of(lines).join('\n'))

  await expect(restoreStorage({ url: target.url, fromFile: file, migrations })).rejects.toMatchObject({
    kind: BAD_BACKUP,
  })
  await restoreStorage({ url: target.url, fromFile: whole, migrations })
})

test('the file can be read by its owner only, and nothing else is left beside it', async () => {
  await using house = await openTestStorage({ engine: 'sqlite', migrations })
  const file = join(house.place.dataDir, 'backup.jsonl')

  await house.storage.backup(file)
  await house.storage.backup(file)
  await expect(house.storage.backup(join(house.place.dataDir, 'none', 'backup'))).rejects.toThrow(/write the backup/)

  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect((await readdir(house.place.dataDir)).filter((name) => name.includes('tmp'))).toEqual([])
})

/** Adds a note and its remark in one transaction, again and again. */
function writePairs(storage: Storage) {
  const some = Promise.withResolvers<void>()
  let isStopped = false
  const write = async () => {
    await storage.tables<NoteTables>().deleteFrom('note').execute()
    let pairs = 0
    for (; !isStopped || pairs < 50; pairs++) {
      await storage
        .tables<NoteTables>()
        .transaction()
        .execute(async (tx) => {
          const id = String(pairs).padStart(8, '0')
          await tx.insertInto('note').values({ id, at: pairs }).execute()
          await tx
            .insertInto('remark')
            .values({ id, note_id: id, text: 'x'.repeat(1_000) })
            .execute()
        })
      if (pairs === 30) some.resolve()
    }
    return pairs
  }
  return { all: write(), untilSome: some.promise, stop: () => (isStopped = true) }
}

async function readAll(place: TestPlace) {
  const storage = await openStorage({ url: place.url, dataDir: place.dataDir, migrations })
  const db = storage.tables<NoteTables>()
  const notes = await db.selectFrom('note').select('id').orderBy('id').execute()
  const remarks = await db.selectFrom('remark').selectAll().orderBy('id').execute()
  await storage.close()
  return { notes, remarks }
}

function only(wanted: string) {
  return Object.fromEntries(Object.entries(migrations).filter(([key]) => key === wanted))
}
