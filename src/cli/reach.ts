import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { contracts, openGatehouse, readConfig, readRunning, type GatehouseConfig, type Running } from '#main'
import { createClient, type Client } from '#http'
import { createLog } from '#telemetry'
import { Failure } from './failure.ts'
import type { Terminal } from './terminal.ts'
import type { HouseOptions } from './verb.ts'

const ALL = {
  ...contracts.keys,
  ...contracts.accounts,
  ...contracts.login,
  ...contracts.signIn,
  ...contracts.signingKeys,
  ...contracts.clients,
  ...contracts.policy,
  ...contracts.hooks,
  ...contracts.approvals,
  ...contracts.tools,
  ...contracts.audit,
  ...contracts.content,
  ...contracts.system,
} as const

export type Api = Client<typeof ALL>

/** A house within reach. */
export type Reached = AsyncDisposable & {
  readonly api: Api
  /** Where it listens; null for one that was opened in this process. */
  readonly url: string | null
  readonly dataDir: string
}

/** Reaches the house of this data directory: the running one, or one opened here until it is disposed of. */
export async function reach(terminal: Terminal, options: HouseOptions): Promise<Reached> {
  const dataDir = dataDirOf(terminal, options)
  const url = await runningUrl(dataDir)
  return url === null ? openHere(terminal, options, dataDir) : reachRunning(dataDir, url)
}

/** Runs one verb with a reached house. */
export async function withHouse<T>(
  terminal: Terminal,
  options: HouseOptions,
  run: (reached: Reached) => Promise<T>,
): Promise<T> {
  await using reached = await reach(terminal, options)
  return await run(reached)
}

/** The data directory that the options name, as a whole path. */
export function dataDirOf(terminal: Terminal, { data }: HouseOptions): string {
  return resolve(terminal.cwd, data)
}

/** The configuration as the options name it; `gatehouse.toml` in this folder where they name none. */
export function configOf(
  terminal: Terminal,
  options: HouseOptions & { listen?: { host: string; port: number } | undefined },
): { config: GatehouseConfig; file: string | undefined } {
  const named = options.config === undefined ? undefined : resolve(terminal.cwd, options.config)
  const here = join(terminal.cwd, 'gatehouse.toml')
  const file = named ?? (existsSync(here) ? here : undefined)
  const dataDir = dataDirOf(terminal, options)
  return { config: readConfig({ file, dataDir, env: terminal.env, listen: options.listen }), file }
}

/** Where the house with this data is reached from this machine, or null when none runs. */
export async function runningUrl(dataDir: string): Promise<string | null> {
  return (await runningHouse(dataDir))?.url ?? null
}

/** The same, with the address that clients use. */
export async function runningHouse(dataDir: string): Promise<Pick<Running, 'url' | 'publicUrl'> | null> {
  const running = await readRunning(dataDir)
  if (running === null) return null
  const { url, publicUrl } = running
  return { url: onThisMachine(url), publicUrl: publicUrl === url ? onThisMachine(url) : publicUrl }
}

function onThisMachine(url: string): string {
  return url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:')
}

async function reachRunning(dataDir: string, url: string): Promise<Reached> {
  const token = await readFile(join(dataDir, 'admin-token'), 'utf8').catch((error: unknown) => {
    const why = `A house runs at ${url}, but its token in ${dataDir} cannot be read.`
    throw new Failure(why, `Run this as the user who started it. (${String(error)})`)
  })
  const api = createClient({ baseUrl: url, token: token.trim(), fetch: (request) => fetch(request) }, ALL)
  return { api, url, dataDir, [Symbol.asyncDispose]: async () => {} }
}

async function openHere(terminal: Terminal, options: HouseOptions, dataDir: string): Promise<Reached> {
  const { config } = configOf(terminal, options)
  const log = createLog({ level: 'error', destination: { write: (line) => terminal.err(line) } })
  const gatehouse = await openGatehouse({ config, dataDir, log })
  const fetchHere = (request: Request): Promise<Response> => gatehouse.fetch(request)
  const api = createClient({ baseUrl: 'http://gatehouse.internal', token: gatehouse.adminToken, fetch: fetchHere }, ALL)
  return { api, url: null, dataDir, [Symbol.asyncDispose]: () => gatehouse.close() }
}

/** The client of a house that runs in this process. */
export function clientOf(house: { fetch(request: Request): Promise<Response>; adminToken: string; url: string }): Api {
  return createClient({ baseUrl: house.url, token: house.adminToken, fetch: (request) => house.fetch(request) }, ALL)
}
