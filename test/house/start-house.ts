import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '#kernel'
import type { Log } from '#telemetry'
import type { HouseTiming } from '#tools'
import { createTestPlace, type TestPlace } from '../../src/storage/testing.ts'
import { MIGRATIONS, readConfig, serve, type RunningGatehouse } from '../../src/main/index.ts'

/** A whole house as `./gatehouse up` makes it, in this process, on a port of its own, with its own data directory. */
export type TestHouse = {
  readonly url: string
  readonly adminToken: string
  readonly dataDir: string
  readonly gatehouse: RunningGatehouse
  /** Every log line, for tests that look for what must not be there. */
  readonly logs: readonly string[]
  createKey(options: { user?: string; gateway: string }): Promise<string>
  /** Resolves when every server has been listed once, well or not. */
  listed(): Promise<void>
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export async function startHouse(options: {
  toml: string
  dataDir?: string
  storageUrl?: string
  env?: NodeJS.ProcessEnv
  timing?: HouseTiming
  clock?: Clock
}): Promise<TestHouse> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'gatehouse-house-')))
  const logs: string[] = []
  const place = options.storageUrl === undefined ? await placeFor(dataDir) : undefined
  const storageUrl = options.storageUrl ?? place?.url
  const storage = storageUrl === undefined ? '' : `[storage]\nurl = "${storageUrl}"\n`
  const server = options.toml.includes('[server]') ? '' : '[server]\nlisten = "127.0.0.1:0"\n'
  const text = `${server}${storage}${options.toml}`
  const config = readConfig({ text, dataDir, env: options.env ?? process.env })
  const gatehouse = await serve({ config, dataDir, log: memoryLog(logs), ...pick(options) })
  const close = async (): Promise<void> => {
    await gatehouse.close()
    if (options.dataDir !== undefined) return // the test goes on with it
    places.delete(dataDir)
    await place?.remove()
    await rm(dataDir, { recursive: true, force: true })
  }
  return {
    url: gatehouse.url,
    adminToken: gatehouse.adminToken,
    dataDir,
    gatehouse,
    logs,
    createKey: async ({ user, gateway }) => {
      const made = await gatehouse.identity.createKey(
        { userId: user ?? null, gateways: [gateway], role: 'user' },
        SYSTEM,
      )
      return made.key
    },
    listed: async () => {
      await Promise.all(gatehouse.house.servers().map((server) => server.firstListing))
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Databases of data directories that are used again, when the suite runs on Postgres. */
const places = new Map<string, TestPlace>()

/** The suite runs once on each engine: `GATEHOUSE_TEST_ENGINE=postgres` gives every house a database of its own there. */
async function placeFor(dataDir: string): Promise<TestPlace | undefined> {
  if (process.env['GATEHOUSE_TEST_ENGINE'] !== 'postgres') return undefined
  const place = places.get(dataDir) ?? (await createTestPlace('postgres', MIGRATIONS))
  places.set(dataDir, place)
  return place
}

/** Only what was given: an option that is there and undefined would count as given. */
function pick({ timing, clock }: { timing?: HouseTiming; clock?: Clock }) {
  return { ...(timing === undefined ? {} : { timing }), ...(clock === undefined ? {} : { clock }) }
}

const SYSTEM = { userId: 'test', keyId: null, face: 'cli' } as const

function memoryLog(lines: string[]): Log {
  const write =
    (level: string, base: object) =>
    (fields: object, message?: string): void => {
      lines.push(JSON.stringify({ level, ...base, ...fields, message }, plainErrors))
    }
  const make = (base: object): Log => ({
    debug: write('debug', base),
    info: write('info', base),
    warn: write('warn', base),
    error: write('error', base),
    child: (fields) => make({ ...base, ...fields }),
  })
  return make({})
}

function plainErrors(_key: string, value: unknown): unknown {
  return value instanceof Error ? { message: value.message, stack: value.stack, cause: value.cause } : value
}
