/**
 * A whole house in a process of its own, for tests that kill it, weigh it or need several. Started by
 * `start-house-process.ts` with its configuration in the environment. Says in one line where it listens and what its
 * admin token is; answers each line on stdin with one line: `skip <ms>` moves its clock, `weigh` collects garbage and
 * tells the heap and the open files. Ends when stdin does.
 */
import { readdirSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { readConfig, serve } from '../../src/main/index.ts'
import { createLog } from '../../src/telemetry/index.ts'

const { HOUSE_TOML = '', HOUSE_DATA_DIR = '' } = process.env
let skippedMs = 0
const clock = { now: () => Date.now() + skippedMs }
const config = readConfig({ text: HOUSE_TOML, dataDir: HOUSE_DATA_DIR, env: {} })
const log = createLog({ level: 'warn', destination: { file: `${HOUSE_DATA_DIR}/house.log` } })
const gatehouse = await serve({ config, dataDir: HOUSE_DATA_DIR, log, clock })
await Promise.all(gatehouse.house.servers().map((server) => server.firstListing))
say({ url: gatehouse.url, pid: process.pid, adminToken: gatehouse.adminToken })

const orders = createInterface({ input: process.stdin })
orders.on('line', (order) => {
  const [verb, amount] = order.split(' ')
  if (verb === 'skip') skippedMs += Number(amount)
  say(weigh())
})
orders.on('close', () => void gatehouse.close().then(() => process.exit(0)))

function weigh(): object {
  globalThis.gc?.()
  return { heapBytes: process.memoryUsage().heapUsed, openFiles: readdirSync('/proc/self/fd').length }
}

function say(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}
