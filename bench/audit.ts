/**
 * `node bench/audit.ts`: what the audit trail does alone, on SQLite and, where it is installed, on Postgres. How many
 * records become durable a second (group commit), with payloads and without; how fast the trail is verified and
 * exported; how long searches of 100,000 records take. `--quick` takes a tenth of the records.
 */
import { parseArgs } from 'node:util'
import { createAudit, AUDIT_MIGRATIONS, type Audit } from '#audit'
import { systemClock } from '#kernel'
import { openStorage } from '#storage'
import { callOf, SILENT } from '../src/audit/testing.ts'
import { createTestPlace, postgresIsAvailable } from '../src/storage/testing.ts'

const ADMIN = { kind: 'admin', userId: 'bench', keyId: null, face: 'cli' } as const
const PAYLOAD = { arguments: { text: 'x'.repeat(500) }, result: { text: 'y'.repeat(1_500) } }
/** Calls that wait for their records at once. */
const LANES = 64

type Place = {
  readonly title: string
  readonly engine: 'sqlite' | 'postgres'
  readonly durability: 'power' | 'process'
}
const PLACES: readonly Place[] = [
  { title: 'SQLite, power', engine: 'sqlite', durability: 'power' },
  { title: 'SQLite, process', engine: 'sqlite', durability: 'process' },
  ...(postgresIsAvailable() ? [{ title: 'Postgres', engine: 'postgres', durability: 'power' } as const] : []),
]

const { values } = parseArgs({ options: { quick: { type: 'boolean' } } })
const records = values.quick === true ? 10_000 : 100_000
for (const place of PLACES) await measure(place, records)

async function measure({ title, engine, durability }: Place, count: number): Promise<void> {
  await using place = await createTestPlace(engine)
  const storage = await openStorage({ ...place, durability, migrations: AUDIT_MIGRATIONS })
  const audit = await createAudit({ storage, clock: systemClock, log: SILENT, dataDir: place.dataDir })
  print(`\n${title}`)
  await recordAll(audit, 2_000) // warm
  await timed('records made durable', count, () => recordAll(audit, count))
  await timed('records with payloads of 2 KB', count / 10, () => recordAll(audit, count / 10, PAYLOAD))
  await timed('records verified', count, async () => void (await audit.verify()))
  await timed('records exported', count, async () => drain(await audit.export(ADMIN, {})))
  await measureSearches(audit)
  await audit.close()
  await storage.close()
}

async function recordAll(audit: Audit, count: number, payload?: typeof PAYLOAD): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < count) await audit.record(callOf(next++), payload)
  }
  await Promise.all(Array.from({ length: LANES }, lane))
}

async function measureSearches(audit: Audit): Promise<void> {
  const searches = {
    'the newest': {},
    'one user': { user: 'user3@example.com' },
    'one trace': { traceId: (777).toString(16).padStart(32, '0') },
    'one refusal in many': { decision: 'denied' },
    'a key that nobody has': { key: 'key_nobody' },
    'a text that is nowhere': { text: 'nowhere to be found' },
  } as const
  for (const [name, filter] of Object.entries(searches)) {
    const startedAt = performance.now()
    const { records: found } = await audit.search(filter)
    print(`  search for ${name}: ${(performance.now() - startedAt).toFixed(1)} ms (${found.length} found)`)
  }
}

async function timed(what: string, count: number, work: () => Promise<void>): Promise<void> {
  const cpu = process.cpuUsage()
  const startedAt = performance.now()
  await work()
  const seconds = (performance.now() - startedAt) / 1_000
  const { user, system } = process.cpuUsage(cpu)
  const each = ((user + system) / count).toFixed(1)
  print(`  ${what}: ${Math.round(count / seconds).toLocaleString('en')} a second, ${each} µs CPU each`)
}

async function drain(lines: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of lines);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
