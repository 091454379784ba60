/** For `crash.test.ts`: records without end, and prints the trace id of each record once it is acknowledged. */
import { systemClock } from '#kernel'
import { openStorage } from '#storage'
import { AUDIT_MIGRATIONS, createAudit } from './index.ts'
import type { Log } from '#telemetry'

const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => SILENT }

const [url = '', dataDir = ''] = process.argv.slice(2)
const storage = await openStorage({ url, dataDir, migrations: AUDIT_MIGRATIONS })
const audit = await createAudit({
  storage,
  clock: systemClock,
  log: SILENT,
  dataDir,
  options: { checkpointEveryRecords: 50 },
})

async function recordForever(lane: number): Promise<never> {
  for (let count = 0; ; count++) {
    const traceId = `${process.pid}-${lane}-${count}`
    await audit.record({ what: 'tools/call', decision: 'allowed', userId: 'alice', traceId })
    process.stdout.write(`${traceId}\n`)
  }
}

await Promise.all(Array.from({ length: 16 }, (_, lane) => recordForever(lane)))
