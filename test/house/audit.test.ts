import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { expect, onTestFinished, test } from 'vitest'
import { createTestPlace, forEachEngine, type TestEngine } from '../../src/storage/testing.ts'
import { startSideEffectServer, type SideEffectServer } from '../fakes/side-effect-server.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { callTool, eventually, gatewayUrl, textOf, type Heard, type Line } from './talk.ts'

type Rig = {
  house: TestHouse
  effects: SideEffectServer
  line: Line
  breakStore: () => Promise<void>
  mendStore: () => Promise<void>
}

async function start(engine: TestEngine, onStoreFailure: 'refuse' | 'spool'): Promise<Rig> {
  const effects = await startSideEffectServer()
  const place = await createTestPlace(engine)
  const house = await startHouse({
    storageUrl: place.url,
    toml: `
      [audit]
      on_store_failure = "${onStoreFailure}"

      [[servers]]
      name = "effects"
      transport = "http"
      url = "${effects.url}"
      timeout_ms = 2000

      [[gateways]]
      slug = "demo"
      tools = ["effects/*"]
    `,
  })
  onTestFinished(async () => {
    await house.close()
    await effects.close()
    await place.remove()
  })
  await house.listed()
  const key = await house.createKey({ user: 'alice@example.com', gateway: 'demo' })
  const rename = async (from: string, to: string): Promise<void> => {
    await sql`alter table ${sql.table(from)} rename to ${sql.table(to)}`.execute(
      house.gatehouse.storage.tables<object>(),
    )
  }
  return {
    house,
    effects,
    line: { url: gatewayUrl(house, 'demo'), key },
    breakStore: () => rename('audit_record', 'audit_record_away'),
    mendStore: () => rename('audit_record_away', 'audit_record'),
  }
}

/** Makes a call under a trace id of its own, by which its records are found. */
async function traced(line: Line, name: string, args: { order: string }, signal?: AbortSignal) {
  const traceId = randomBytes(16).toString('hex')
  const meta = { traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01` }
  const heard = await callTool(line, name, args, { meta, ...(signal === undefined ? {} : { signal }) }).catch(
    () => null,
  )
  return { traceId, heard }
}

async function decisionsOf(house: TestHouse, traceId: string): Promise<string[]> {
  const { records } = await house.gatehouse.audit.search({ traceId })
  return records.map(({ decision, reason }) => `${decision}: ${reason}`)
}

const words = (heard: Heard | null) => (heard === null ? '' : textOf(heard))

forEachEngine((engine) => {
  test('every attempt has exactly one record: allowed, denied, failed and cancelled', async () => {
    const { house, effects, line } = await start(engine, 'refuse')
    const allowed = await traced(line, 'charge', { order: 'a' })
    const denied = await traced(line, 'nothing', { order: 'a' })
    effects.setLatency(30_000)
    const failed = await traced(line, 'charge', { order: 'slow' })
    const leaver = new AbortController()
    const leaving = traced(line, 'charge', { order: 'left' }, leaver.signal)
    await effects.executions.until(({ order }) => order === 'left')
    leaver.abort()
    const cancelled = await leaving
    await eventually(
      () => decisionsOf(house, cancelled.traceId),
      (found) => found.length > 0,
    )

    const found = await Promise.all(
      [allowed, denied, failed, cancelled].map(({ traceId }) => decisionsOf(house, traceId)),
    )

    expect(found).toEqual([
      [expect.stringMatching(/^allowed: /)],
      ['denied: Unknown tool: "nothing"'],
      [expect.stringMatching(/^failed: server "effects" gave no sign of life/)],
      ['cancelled: cancelled by the caller'],
    ])
    expect(await house.gatehouse.audit.verify()).toMatchObject({ ok: true })
    expect(await house.gatehouse.metrics.render()).toMatch(/gatehouse_audit_records_total [4-9]/)
  })

  test('refuse: while the trail cannot be written nothing is told and soon nothing is done, and then it goes on', async () => {
    const { house, effects, line, breakStore, mendStore } = await start(engine, 'refuse')
    await traced(line, 'charge', { order: 'before' })

    await breakStore()
    const first = await traced(line, 'charge', { order: 'first' })
    const later = await Promise.all([1, 2, 3].map((n) => traced(line, 'charge', { order: `later ${n}` })))
    await mendStore()
    const after = await eventually(
      () => traced(line, 'charge', { order: 'after' }),
      ({ heard }) => words(heard).startsWith('charged'),
    )

    expect(words(first.heard)).toMatch(/result of this call is withheld.*may have taken effect/)
    expect(later.map(({ heard }) => words(heard))).toEqual(
      Array(3).fill(expect.stringMatching(/this call was not made/)),
    )
    expect([1, 2, 3].map((n) => effects.timesRun('charge', `later ${n}`))).toEqual([0, 0, 0])
    expect(await decisionsOf(house, after.traceId)).toHaveLength(1)
    expect(effects.timesRun('charge', 'after')).toBe(1)
    expect(await house.gatehouse.audit.verify()).toMatchObject({ ok: true })
  })

  test('spool: calls go on while the trail cannot be written, and no record is lost or doubled afterwards', async () => {
    const { house, line, breakStore, mendStore } = await start(engine, 'spool')

    await breakStore()
    const during = await Promise.all(Array.from({ length: 20 }, (_, n) => traced(line, 'charge', { order: `d${n}` })))
    const state = house.gatehouse.audit.state().writesTo
    await mendStore()
    await eventually(
      () => house.gatehouse.audit.state().writesTo,
      (writesTo) => writesTo === 'store',
    )
    const after = await traced(line, 'charge', { order: 'after' })

    expect(during.map(({ heard }) => words(heard)).filter((text) => !text.startsWith('charged'))).toEqual([])
    expect(state).toBe('spool')
    const records = await Promise.all([...during, after].map(({ traceId }) => decisionsOf(house, traceId)))
    expect(records.map((found) => found.length)).toEqual(Array(21).fill(1))
    expect(await house.gatehouse.audit.verify()).toMatchObject({ ok: true })
  })

  test.each(['refuse', 'spool'] as const)(
    '%s: under load, with two outages of the store on the way, no attempt has two records, and each that was told has one',
    async (onStoreFailure) => {
      const { house, effects, line, breakStore, mendStore } = await start(engine, onStoreFailure)
      const calls: Promise<{ traceId: string; heard: Heard | null }>[] = []
      const load = async (count: number): Promise<void> => {
        const more = Array.from({ length: count }, (_, n) => traced(line, 'charge', { order: `${calls.length + n}` }))
        calls.push(...more)
        await Promise.all(more.slice(count / 2))
      }

      for (const _outage of [1, 2]) {
        await load(100)
        await breakStore()
        await load(100)
        await mendStore()
        await eventually(
          () => traced(line, 'charge', { order: `probe ${calls.length}` }),
          ({ heard }) => words(heard).startsWith('charged'),
        )
      }
      await load(100)
      const all = await Promise.all(calls)
      await eventually(
        async () => house.gatehouse.audit.state().writesTo,
        (writesTo) => writesTo === 'store',
      )

      const records = await countByTrace(house)
      const told = all.filter(({ heard }) => words(heard).startsWith('charged'))
      expect(all).toHaveLength(500)
      expect([...records].filter(([, count]) => count !== 1)).toEqual([])
      expect(told.filter(({ traceId }) => records.get(traceId) !== 1)).toEqual([])
      expect(told.length).toBeGreaterThanOrEqual(onStoreFailure === 'spool' ? 500 : 250)
      expect(
        Array.from({ length: 500 }, (_, n) => effects.timesRun('charge', `${n}`)).filter((ran) => ran > 1),
      ).toEqual([])
      expect(await house.gatehouse.audit.verify()).toMatchObject({ ok: true })
    },
  )
})

/** How many records each trace has, of calls. */
async function countByTrace(house: TestHouse): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>()
  let cursor: string | undefined
  do {
    const page = await house.gatehouse.audit.search({ what: 'tools/call' }, { cursor, limit: 1_000 })
    for (const { traceId = '' } of page.records) counts.set(traceId, (counts.get(traceId) ?? 0) + 1)
    cursor = page.next ?? undefined
  } while (cursor !== undefined)
  return counts
}
