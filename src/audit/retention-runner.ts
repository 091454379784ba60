/** For `retention-crash.test.ts`: removes old records, forty days from now, and dies in the middle of it. */
import { openStorage } from '#storage'
import { AUDIT_MIGRATIONS, createAudit } from './index.ts'
import { SILENT } from './testing.ts'

const [url = '', dataDir = ''] = process.argv.slice(2)
const DAY_MS = 86_400_000
const storage = await openStorage({ url, dataDir, migrations: AUDIT_MIGRATIONS })
const audit = await createAudit({
  storage,
  clock: { now: () => Date.now() + 40 * DAY_MS },
  log: SILENT,
  dataDir,
  options: { keepMs: 30 * DAY_MS },
})
process.stdout.write('begun\n')
await audit.removeOld()
process.stdout.write('ended\n')
