import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { isProblem, systemClock } from '#kernel'
import { forEachEngine } from '../storage/testing.ts'
import { AUDIT_MIGRATIONS, BAD_CURSOR, createAudit, OVERLOADED, UNAVAILABLE, type AuditRecord } from './index.ts'
import { searchTrail } from './search.ts'
import { createAuditStore } from './store.ts'
import { callOf, openTestTrail, recordCalls, SILENT } from './testing.ts'

it('has migrations with keys of its own', () => {
  expect(Object.keys(AUDIT_MIGRATIONS)).toEqual(Object.keys(AUDIT_MIGRATIONS).toSorted())
})

forEachEngine((engine) => {
  it('a record is found as it was told, with its place in the chain', async () => {
    await using trail = await openTestTrail(engine)

    await trail.audit.record(callOf(1, { extra: { b: 1, a: 2 }, legs: 2 }))

    const { records } = await trail.audit.search({ what: 'tools/call' })
    expect(records).toEqual([
      {
        ...callOf(1),
        extra: { a: 2, b: 1 },
        legs: 2,
        chain: expect.any(String),
        seq: 2,
        at: expect.any(Number),
        prev: expect.any(String),
      },
    ])
  })

  it('a chain survives restarts, and each names the one before it', async () => {
    await using trail = await openTestTrail(engine)
    await recordCalls(trail.audit, 20)
    await trail.restart()
    await recordCalls(trail.audit, 20)
    await trail.restart()

    const verdict = await trail.audit.verify()

    expect(verdict).toMatchObject({ ok: true, records: 43, chains: 3, problem: null })
  })

  it('two processes on one data directory write two chains', async () => {
    await using trail = await openTestTrail(engine)
    const second = await createAudit({
      storage: trail.storage,
      clock: systemClock,
      log: SILENT,
      dataDir: trail.dataDir,
    })

    await Promise.all([recordCalls(trail.audit, 50), recordCalls(second, 50)])
    const verdict = await trail.audit.verify()
    await second.close()

    expect(verdict).toMatchObject({ ok: true, records: 102, chains: 2 })
  })

  it('every filter finds its records only', async () => {
    await using trail = await openTestTrail(engine)
    const { audit } = trail
    await recordCalls(audit, 5)
    const odd = { userId: 'odd@example.com', server: 's2', tool: 't2', gateway: 'g2', traceId: 'trace-2' }
    await audit.record(callOf(9, { ...odd, decision: 'denied', what: 'prompts/get', reason: '100% "Strange"_reason' }))

    const filters = [
      { user: odd.userId },
      { server: odd.server },
      { tool: odd.tool },
      { gateway: odd.gateway },
      { traceId: odd.traceId },
      { decision: 'denied' },
      { what: 'prompts/get' },
      { text: '100% "strange"_R' },
      { user: odd.userId, tool: odd.tool, decision: 'denied', since: 0, until: Date.now() + 1_000 },
    ] as const
    const found = await Promise.all(filters.map((filter) => audit.search(filter)))

    expect(found.map(({ records }) => records.map((record) => record.userId))).toEqual(filters.map(() => [odd.userId]))
    expect((await audit.search({ text: '100_' })).records).toEqual([])
    expect((await audit.search({ until: 1 })).records).toEqual([])
  })

  it('pages through all records, newest first, each once', async () => {
    await using trail = await openTestTrail(engine)
    await recordCalls(trail.audit, 25)

    const seen: AuditRecord[] = []
    let cursor: string | undefined
    do {
      const page = await trail.audit.search({ what: 'tools/call' }, { cursor, limit: 10 })
      seen.push(...page.records)
      cursor = page.next ?? undefined
    } while (cursor !== undefined)

    expect(seen.map(({ seq }) => seq)).toEqual(Array.from({ length: 25 }, (_, index) => 26 - index))
  })

  it('what is recorded meanwhile moves no page: nothing comes twice, and nothing that was there is skipped', async () => {
    await using trail = await openTestTrail(engine)
    await recordCalls(trail.audit, 60)
    const before = await trail.audit.search({ what: 'tools/call' }, { limit: 1_000 })

    const seen: string[] = []
    let cursor: string | undefined
    do {
      const page = await trail.audit.search({ what: 'tools/call' }, { cursor, limit: 7 })
      seen.push(...page.records.map(({ chain, seq }) => `${chain}/${seq}`))
      cursor = page.next ?? undefined
      await recordCalls(trail.audit, 5)
    } while (cursor !== undefined)

    expect(seen).toEqual(before.records.map(({ chain, seq }) => `${chain}/${seq}`))
  })

  it('a long search answers in between, and its cursor goes on', async () => {
    await using trail = await openTestTrail(engine)
    for (let number = 0; number < 20; number++)
      await trail.audit.record(callOf(number, { gateway: number % 9 === 0 ? 'rare' : 'demo' }))
    const store = createAuditStore(trail.storage)

    const pages: (string | undefined)[][] = []
    let cursor: string | undefined
    do {
      const page = await searchTrail(store, { gateway: 'rare' }, { cursor, steps: { rows: 3, max: 2 } })
      pages.push(page.records.map(({ traceId }) => traceId?.slice(-2)))
      cursor = page.next ?? undefined
    } while (cursor !== undefined)

    expect(pages.flat()).toEqual(['12', '09', '00'])
    expect(pages.length).toBeGreaterThan(2)
  })

  it('refuses a cursor it did not give', async () => {
    await using trail = await openTestTrail(engine)

    await expect(trail.audit.search({}, { cursor: 'zzz' })).rejects.toSatisfy((error) => isProblem(error, BAD_CURSOR))
  })

  it('followers hear of the records of every replica', async () => {
    await using trail = await openTestTrail(engine)
    // SQLite has one process; there, the other replica is a second chain in it.
    const storage = engine === 'postgres' ? await trail.place.openReplica() : trail.storage
    const other = await createAudit({ storage, clock: systemClock, log: SILENT, dataDir: join(trail.dataDir, 'other') })
    const stop = new AbortController()
    const heard = new Set<unknown>()
    const following = (async () => {
      for await (const record of trail.audit.follow({ filter: { gateway: 'heard' }, signal: stop.signal })) {
        heard.add(record.userId)
        if (heard.size === 2) stop.abort()
      }
    })()

    while (!stop.signal.aborted) {
      await trail.audit.record(callOf(1, { gateway: 'unheard', userId: 'nobody' }))
      await trail.audit.record(callOf(1, { gateway: 'heard', userId: 'here' }))
      await other.record(callOf(1, { gateway: 'heard', userId: 'there' }))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await following
    await other.close()

    expect(heard).toEqual(new Set(['here', 'there']))
  })
})

it('refuses more than may wait, and nothing that was accepted is lost', async () => {
  await using trail = await openTestTrail('sqlite', { maxWaiting: 10 })

  const outcomes = await Promise.allSettled(Array.from({ length: 15 }, (_, index) => trail.audit.record(callOf(index))))

  const refused = outcomes.filter((outcome) => outcome.status === 'rejected')
  expect(refused.map(({ reason }) => isProblem(reason, OVERLOADED))).toEqual([true, true, true, true, true])
  expect((await trail.audit.search({ what: 'tools/call' })).records).toHaveLength(10)
})

it('refuses records once it is closed', async () => {
  await using trail = await openTestTrail('sqlite')
  await trail.audit.close()

  await expect(trail.audit.record(callOf(1))).rejects.toSatisfy((error) => isProblem(error, UNAVAILABLE))
})

it('the signing key is for its owner only, and its public half is printable', async () => {
  await using trail = await openTestTrail('sqlite')

  const { mode } = await stat(join(trail.dataDir, 'audit-signing.key'))

  expect(mode & 0o777).toBe(0o600)
  expect(trail.audit.publicKey()).toMatch(/^-----BEGIN PUBLIC KEY-----/)
})
