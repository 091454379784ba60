import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, it } from 'vitest'
import { systemClock } from '#kernel'
import { openStorage } from '#storage'
import { createTestPlace, forEachEngine } from '../storage/testing.ts'
import { AUDIT_MIGRATIONS, createAudit } from './index.ts'
import { SILENT } from './testing.ts'

const WRITER = join(import.meta.dirname, 'crash-writer.ts')

/** A process that records as fast as it can and prints the trace id of each record that was acknowledged. */
async function writeAndDie(place: { url: string; dataDir: string }, afterLines: number): Promise<string[]> {
  const child = spawn(process.execPath, [WRITER, place.url, place.dataDir], { stdio: ['ignore', 'pipe', 'inherit'] })
  const acknowledged: string[] = []
  const exited = once(child, 'exit')
  for await (const line of createInterface({ input: child.stdout })) {
    acknowledged.push(line)
    if (acknowledged.length === afterLines) child.kill('SIGKILL')
  }
  await exited
  return acknowledged
}

forEachEngine((engine) => {
  it('after kill -9 under load, every acknowledged record is there and the chain is whole', async () => {
    await using place = await createTestPlace(engine)

    const acknowledged = [...(await writeAndDie(place, 500)), ...(await writeAndDie(place, 500))]

    const storage = await openStorage({ ...place, migrations: AUDIT_MIGRATIONS })
    const audit = await createAudit({ storage, clock: systemClock, log: SILENT, dataDir: place.dataDir })
    const stored = new Set<string | undefined>()
    let cursor: string | undefined
    do {
      const page = await audit.search({ what: 'tools/call' }, { cursor, limit: 1_000 })
      for (const record of page.records) stored.add(record.traceId)
      cursor = page.next ?? undefined
    } while (cursor !== undefined)
    const verdict = await audit.verify()
    await audit.close()
    await storage.close()

    expect(acknowledged.length).toBeGreaterThanOrEqual(1_000)
    expect(acknowledged.filter((traceId) => !stored.has(traceId))).toEqual([])
    expect(verdict).toMatchObject({ ok: true, chains: 3, problem: null })
  })
})
