import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { sql } from 'kysely'
import { expect, it } from 'vitest'
import { systemClock } from '#kernel'
import { openStorage, type Storage } from '#storage'
import { createTestPlace, forEachEngine, type TestPlace } from '../storage/testing.ts'
import { AUDIT_MIGRATIONS, createAudit } from './index.ts'
import { recordCalls, SILENT } from './testing.ts'

const RUNNER = join(import.meta.dirname, 'retention-runner.ts')
const DAY_MS = 86_400_000
const RECORDS = 6_000
const IN_FORTY_DAYS = { now: () => Date.now() + 40 * DAY_MS }

async function countOld(storage: Storage): Promise<number> {
  const { rows } = await sql<{ n: number }>`select count(*) as n from audit_record where what = 'tools/call'`.execute(
    storage.tables<object>(),
  )
  return Number(rows[0]?.n)
}

/** Starts removing in another process and kills it once some are gone; returns how many there still were. */
async function removeAndDie(place: TestPlace, storage: Storage): Promise<number> {
  const child = spawn(process.execPath, [RUNNER, place.url, place.dataDir], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  while (child.exitCode === null && (await countOld(storage)) === RECORDS);
  child.kill('SIGKILL')
  await exited
  return countOld(storage)
}

forEachEngine((engine) => {
  it('kill -9 in the middle of a removal leaves a trail that verifies, and the next run ends it', async () => {
    await using place = await createTestPlace(engine)
    const storage = await openStorage({ ...place, migrations: AUDIT_MIGRATIONS })
    const before = await createAudit({ storage, clock: systemClock, log: SILENT, dataDir: place.dataDir })
    await recordCalls(before, RECORDS)
    await before.close()

    const left = await removeAndDie(place, storage)
    const options = { keepMs: 30 * DAY_MS }
    const after = await createAudit({ storage, clock: IN_FORTY_DAYS, log: SILENT, dataDir: place.dataDir, options })
    const interrupted = await after.verify()
    // Whoever died has the duty for a minute more.
    await sql`update audit_duty set until_at = 0`.execute(storage.tables<object>())
    await after.removeOld()
    const ended = await after.verify()
    const rest = await countOld(storage)
    await after.close()
    await storage.close()

    expect(left).toBeLessThan(RECORDS)
    expect(left).toBeGreaterThan(0)
    expect(interrupted).toMatchObject({ ok: true, faults: [] })
    expect(ended).toMatchObject({ ok: true, faults: [], removed: { records: RECORDS + 1 } })
    expect(rest).toBe(0)
  })
})
