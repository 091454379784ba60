import { createServer } from 'node:http'
import { expect, it, onTestFinished } from 'vitest'
import { createEgress } from '#http'
import { systemClock } from '#kernel'
import { forEachEngine, type TestEngine } from '../storage/testing.ts'
import { openTestStorage } from '../storage/testing.ts'
import { AUDIT_MIGRATIONS, createAudit } from './index.ts'
import { callOf, recordCalls, SILENT } from './testing.ts'

/** A little collector of OpenTelemetry logs; `status` is what it answers with. */
async function startCollector() {
  const collector = { status: 200, url: '', batches: [] as { places: string[]; headers: object }[], asked: 0 }
  const server = createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      collector.asked += 1
      if (collector.status === 200)
        collector.batches.push({ places: placesIn(Buffer.concat(chunks).toString()), headers: req.headers })
      res.writeHead(collector.status, { 'content-type': 'application/json' }).end('{}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  collector.url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/v1/logs`
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return collector
}

/** `chain/seq` of each record in a request, in order. */
function placesIn(body: string): string[] {
  const { resourceLogs } = JSON.parse(body)
  const records: { attributes: { key: string; value: { stringValue?: string; intValue?: string } }[] }[] =
    resourceLogs[0].scopeLogs[0].logRecords
  return records.map(({ attributes }) => {
    const of = (name: string) => attributes.find(({ key }) => key === `gatehouse.audit.${name}`)?.value
    return `${of('chain')?.stringValue}/${of('seq')?.intValue}`
  })
}

async function openForwarding(engine: TestEngine) {
  const collector = await startCollector()
  const place = await openTestStorage({ engine, migrations: AUDIT_MIGRATIONS })
  const open = (storage = place.storage, dataDir = place.place.dataDir) =>
    createAudit({
      storage,
      clock: systemClock,
      log: SILENT,
      dataDir,
      options: { retryMs: 5, forwardEveryMs: 100 },
      collector: {
        endpoint: collector.url,
        headers: { authorization: 'Bearer collector-secret' },
        client: createEgress().open({ trusted: true, allow: [] }),
      },
    })
  const trail = { audit: await open() }
  onTestFinished(async () => {
    await trail.audit.close()
    await place.close()
  })
  return { collector, place, open, trail }
}

const sent = ({ batches }: { batches: { places: string[] }[] }) => batches.flatMap(({ places }) => places)

forEachEngine((engine) => {
  it('every record arrives at the collector once, in order, with the credentials', async () => {
    const { collector, trail } = await openForwarding(engine)
    await expect.poll(async () => (await trail.audit.search({})).records.length).toBe(1)

    await recordCalls(trail.audit, 700)
    await trail.audit.record(callOf(1))
    await expect.poll(() => sent(collector).length, { timeout: 5_000 }).toBeGreaterThanOrEqual(701)

    const seqs = sent(collector).map((text) => Number(text.split('/')[1]))
    expect(seqs).toEqual(Array.from({ length: seqs.length }, (_, index) => (seqs[0] ?? 0) + index))
    expect(collector.batches[0]?.headers).toMatchObject({ authorization: 'Bearer collector-secret' })
    await expect.poll(() => trail.audit.state().unforwarded).toBe(0)
  })

  it('a collector that is away keeps nobody waiting, and gets what it missed, also after a restart', async () => {
    const { collector, trail, open } = await openForwarding(engine)
    await trail.audit.record(callOf(1))
    await expect.poll(() => sent(collector).length).toBeGreaterThanOrEqual(1)
    collector.status = 503
    const { asked } = collector

    await recordCalls(trail.audit, 50)
    await expect.poll(() => collector.asked).toBeGreaterThan(asked + 2)
    await trail.audit.close()
    trail.audit = await open()
    await recordCalls(trail.audit, 10)
    collector.status = 200
    await expect.poll(() => new Set(sent(collector)).size, { timeout: 5_000 }).toBeGreaterThanOrEqual(62)

    const page = await trail.audit.search({ what: 'tools/call' }, { limit: 1_000 })
    const all = page.records.map(({ chain, seq }) => `${chain}/${seq}`)
    expect(all).toHaveLength(61)
    expect(all.filter((text) => !sent(collector).includes(text))).toEqual([])
  })

  it('of two replicas one sends, and it sends what both wrote', async () => {
    const { collector, trail, open, place } = await openForwarding(engine)
    await trail.audit.record(callOf(1))
    await expect.poll(() => sent(collector).length).toBeGreaterThanOrEqual(1)
    const other = await open(await place.openReplica(), `${place.place.dataDir}/other`)
    onTestFinished(() => other.close())

    await Promise.all([recordCalls(trail.audit, 20), recordCalls(other, 20)])
    await expect.poll(() => new Set(sent(collector)).size, { timeout: 5_000 }).toBeGreaterThanOrEqual(42)

    expect(new Set(sent(collector)).size).toBe(sent(collector).length)
  })
})
