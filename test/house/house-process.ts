/**
 * A whole house in a process of its own, for tests that kill it. Started by `start-house-process.ts` with its
 * configuration in the environment; says where it listens in one line and ends when its stdin does.
 */
import { createLog } from '../../src/telemetry/index.ts'
import { readConfig, serve } from '../../src/main/index.ts'

const { HOUSE_TOML = '', HOUSE_DATA_DIR = '' } = process.env
const config = readConfig({ text: HOUSE_TOML, dataDir: HOUSE_DATA_DIR, env: {} })
const log = createLog({ level: 'warn', destination: { file: `${HOUSE_DATA_DIR}/house.log` } })
const gatehouse = await serve({ config, dataDir: HOUSE_DATA_DIR, log })
await Promise.all(gatehouse.house.servers().map((server) => server.firstListing))
process.stdout.write(`${JSON.stringify({ url: gatehouse.url, pid: process.pid })}\n`)
process.stdin.resume()
process.stdin.on('end', () => void gatehouse.close().then(() => process.exit(0)))
