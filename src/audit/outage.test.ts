import { chmod, mkdir, readdir, readFile, rmdir, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import { expect, it } from 'vitest'
import { isProblem, systemClock } from '#kernel'
import type { Storage } from '#storage'
import { forEachEngine, type TestEngine } from '../storage/testing.ts'
import { createAudit, UNAVAILABLE } from './index.ts'
import { callOf, openTestTrail, recordCalls, SILENT } from './testing.ts'

const FAST = { retryMs: 20, checkpointEveryRecords: 5 }

/** The database refuses every record from here on … */
const breakStore = (storage: Storage) =>
  sql`alter table audit_record rename to audit_record_away`.execute(storage.tables<object>())
/** … and takes them again. */
const mendStore = (storage: Storage) =>
  sql`alter table audit_record_away rename to audit_record`.execute(storage.tables<object>())

const spoolFiles = async (dataDir: string) => (await readdir(dataDir)).filter((name) => name.startsWith('audit-spool'))

const users = async (audit: { search: Awaited<ReturnType<typeof createAudit>>['search'] }) =>
  (await audit.search({ what: 'tools/call' }, { limit: 1_000 })).records.map(({ userId }) => userId).toReversed()

async function openSpooling(engine: TestEngine) {
  const trail = await openTestTrail(engine, { ...FAST, onStoreFailure: 'spool' })
  await trail.audit.record(callOf(0, { userId: 'before' }))
  return trail
}

forEachEngine((engine) => {
  it('refuse: nothing is accepted while the store is down, and the chain goes on after it', async () => {
    await using trail = await openTestTrail(engine, FAST)
    await recordCalls(trail.audit, 3)
    await breakStore(trail.storage)

    const outcomes = await Promise.allSettled([1, 2, 3].map((number) => trail.audit.record(callOf(number))))
    const state = trail.audit.state()
    await mendStore(trail.storage)
    await expect
      .poll(() =>
        trail.audit.record(callOf(4)).then(
          () => 'stored',
          () => 'refused',
        ),
      )
      .toBe('stored')

    expect(outcomes.map((outcome) => outcome.status === 'rejected' && isProblem(outcome.reason, UNAVAILABLE))).toEqual([
      true,
      true,
      true,
    ])
    expect(state.writesTo).toBe('nowhere')
    expect(await trail.audit.verify()).toMatchObject({ ok: true, records: 5, chains: 1 })
  })

  it('spool: records are kept on disk while the store is down, and stored in order when it is back', async () => {
    await using trail = await openSpooling(engine)
    await breakStore(trail.storage)

    for (const userId of ['one', 'two', 'three']) await trail.audit.record(callOf(1, { userId }))
    const during = { files: await spoolFiles(trail.dataDir), state: trail.audit.state().writesTo }
    await mendStore(trail.storage)
    await expect.poll(() => trail.audit.state().writesTo).toBe('store')
    await trail.audit.record(callOf(1, { userId: 'after' }))

    expect(during).toEqual({ files: ['audit-spool.jsonl'], state: 'spool' })
    expect(await users(trail.audit)).toEqual(['before', 'one', 'two', 'three', 'after'])
    expect(await trail.audit.verify()).toMatchObject({ ok: true, chains: 1, records: 6 })
    expect(await spoolFiles(trail.dataDir)).toEqual([])
  })

  it('spool: records that keep coming while it is emptied are neither lost nor doubled', async () => {
    await using trail = await openSpooling(engine)
    await breakStore(trail.storage)
    await recordCalls(trail.audit, 700)

    await mendStore(trail.storage)
    let accepted = 701
    while (trail.audit.state().writesTo !== 'store') {
      await recordCalls(trail.audit, 20)
      accepted += 20
    }
    await recordCalls(trail.audit, 10)

    expect(await trail.audit.verify()).toMatchObject({ ok: true, chains: 1, records: accepted + 11 })
  })

  it('spool: what a process left behind is stored at the next start', async () => {
    await using trail = await openSpooling(engine)
    await breakStore(trail.storage)
    await trail.audit.record(callOf(1, { userId: 'left' }))
    await trail.audit.close()
    const left = await spoolFiles(trail.dataDir)
    await mendStore(trail.storage)

    await trail.restart()

    expect(left).toHaveLength(1)
    expect(await users(trail.audit)).toEqual(['before', 'left'])
    expect(await trail.audit.verify()).toMatchObject({ ok: true, chains: 2 })
    expect(await spoolFiles(trail.dataDir)).toEqual([])
  })

  it('a spool that is stored twice does no harm, nor does a line that a crash has cut off', async () => {
    await using trail = await openSpooling(engine)
    await breakStore(trail.storage)
    await trail.audit.record(callOf(1, { userId: 'one' }))
    await trail.audit.close()
    const [file = ''] = await spoolFiles(trail.dataDir)
    const text = await readFile(join(trail.dataDir, file), 'utf8')
    await mendStore(trail.storage)
    await trail.restart()

    await writeFile(join(trail.dataDir, 'audit-spool.jsonl'), `${text}\n{"hash":"x","rec`)
    await trail.restart()

    expect(await users(trail.audit)).toEqual(['before', 'one'])
    expect(await trail.audit.verify()).toMatchObject({ ok: true, chains: 3 })
  })

  it('a batch that is stored after it was given up is not stored twice', async () => {
    await using trail = await openTestTrail(engine, { ...FAST, storeTimeoutMs: 1_000 })
    await recordCalls(trail.audit, 3)
    const blocker = await trail.place.openReplica()
    const held = Promise.withResolvers<void>()
    const isHeld = Promise.withResolvers<void>()
    const holding = blocker
      .tables<object>()
      .transaction()
      .execute(async (tx) => {
        // A write on SQLite keeps all other writers out; on Postgres it takes a lock.
        const hold =
          engine === 'sqlite'
            ? sql`delete from audit_chain where chain = ''`
            : sql`lock table audit_record in exclusive mode`
        await hold.execute(tx)
        isHeld.resolve()
        await held.promise
      })
    await isHeld.promise

    const late = await trail.audit
      .record(callOf(7, { userId: 'late' }))
      .catch((error: unknown) => isProblem(error, UNAVAILABLE))
    held.resolve()
    await holding
    await expect
      .poll(() =>
        trail.audit.record(callOf(8, { userId: 'next' })).then(
          () => 'stored',
          () => 'refused',
        ),
      )
      .toBe('stored')

    expect(late).toBe(true)
    expect(await users(trail.audit)).toEqual([
      'user0@example.com',
      'user1@example.com',
      'user2@example.com',
      'late',
      'next',
    ])
    expect(await trail.audit.verify()).toMatchObject({ ok: true, chains: 1 })
  })

  it('when the disk fails as well, nothing is accepted, and all that was is stored in the end', async () => {
    await using trail = await openSpooling(engine)
    await breakStore(trail.storage)
    await trail.audit.record(callOf(1, { userId: 'spooled' }))
    const refused: unknown[] = []
    const spool = join(trail.dataDir, 'audit-spool.jsonl')
    const kept = await readFile(spool)
    // A folder in the file's place: nobody, root included, can append to it.
    await unlink(spool)
    await mkdir(spool)

    refused.push(
      await trail.audit
        .record(callOf(1, { userId: 'refused' }))
        .catch((error: unknown) => isProblem(error, UNAVAILABLE)),
    )
    refused.push(
      await trail.audit
        .record(callOf(1, { userId: 'refused' }))
        .catch((error: unknown) => isProblem(error, UNAVAILABLE)),
    )
    const state = trail.audit.state().writesTo
    await rmdir(spool)
    await writeFile(spool, kept)
    await chmod(spool, 0o600)
    await mendStore(trail.storage)
    await expect.poll(() => trail.audit.state().writesTo).toBe('store')
    await trail.audit.record(callOf(1, { userId: 'after' }))

    expect(refused).toEqual([true, true])
    expect(state).toBe('nowhere')
    expect(await users(trail.audit)).toEqual(['before', 'spooled', 'after'])
    expect(await trail.audit.verify()).toMatchObject({ ok: true })
  })

  it('a start without a store is refused: a house that cannot record does not open', async () => {
    await using trail = await openTestTrail(engine)
    await breakStore(trail.storage)

    const second = createAudit({ storage: trail.storage, clock: systemClock, log: SILENT, dataDir: trail.dataDir })

    await expect(second).rejects.toThrow()
    await mendStore(trail.storage)
  })
})

it('spool: it has a limit, and past it nothing is accepted', async () => {
  await using trail = await openTestTrail('sqlite', { ...FAST, onStoreFailure: 'spool', spoolMaxBytes: 2_000 })
  await breakStore(trail.storage)

  const accepted: boolean[] = []
  for (let number = 0; number < 10; number++)
    accepted.push(
      await trail.audit.record(callOf(number)).then(
        () => true,
        () => false,
      ),
    )
  await mendStore(trail.storage)
  await expect.poll(() => trail.audit.state().writesTo).toBe('store')

  expect(new Set(accepted)).toEqual(new Set([true, false]))
  expect(await users(trail.audit)).toHaveLength(accepted.filter(Boolean).length)
  expect(await trail.audit.verify()).toMatchObject({ ok: true, chains: 1 })
})
