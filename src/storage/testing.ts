/**
 * For tests only: a fresh database of each engine. Postgres is a throw-away cluster of Debian's binaries, started on
 * first use in each test thread, or the server named by GATEHOUSE_TEST_POSTGRES.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe } from 'vitest'
import pg from 'pg'
import { newId } from '#kernel'
import type { Migrations, Storage } from './contract.ts'
import { openStorage, type StorageOptions } from './open.ts'
import { findPostgresBinaries, startPostgresCluster } from './postgres/test-cluster.ts'

export type TestEngine = Storage['engine']

/** An empty database and a data directory; gone after `remove` (or at the end of an `await using` block). */
export type TestPlace = {
  readonly engine: TestEngine
  readonly url: string
  readonly dataDir: string
  remove(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** An open storage in a place of its own. */
export type TestStorage = {
  readonly storage: Storage
  readonly place: TestPlace
  /** Opens the same database again, as another replica would: with a data directory of its own. */
  openReplica(): Promise<Storage>
  /** Closes all that were opened and removes the database. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const SERVER_VARIABLE = 'GATEHOUSE_TEST_POSTGRES'
let cluster: Promise<string> | undefined

/** True when tests can run on Postgres here. */
export function postgresIsAvailable(): boolean {
  return process.env[SERVER_VARIABLE] !== undefined || findPostgresBinaries() !== undefined
}

/** Declares the suite once for each engine; the one for Postgres is skipped where it is not installed. */
export function forEachEngine(suite: (engine: TestEngine) => void): void {
  describe('on sqlite', () => suite('sqlite'))
  describe.skipIf(!postgresIsAvailable())('on postgres', () => suite('postgres'))
}

/** Opens a fresh database of the engine. */
export async function openTestStorage(
  options: { engine: TestEngine } & Omit<StorageOptions, 'url' | 'dataDir'>,
): Promise<TestStorage> {
  const place = await createTestPlace(options.engine)
  const opened: Storage[] = []
  const open = async (dataDir: string) => {
    const storage = await openStorage({ ...options, url: place.url, dataDir })
    opened.push(storage)
    return storage
  }
  const close = async () => {
    await Promise.all(opened.map((storage) => storage.close()))
    await place.remove()
  }
  return {
    storage: await open(place.dataDir),
    place,
    openReplica: () => open(join(place.dataDir, newId('replica'))),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/**
 * Makes a database without opening it: an empty one, or on Postgres a copy of one that has had these migrations, which
 * is much faster than running them anew.
 */
export async function createTestPlace(engine: TestEngine, migrations?: Migrations): Promise<TestPlace> {
  const dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-storage-'))
  if (engine === 'sqlite') return placeOf({ engine, dataDir, url: `sqlite:${join(dataDir, 'gatehouse.db')}` })
  const server = await serverUrl()
  const name = newId('db')
  const template = migrations === undefined ? '' : ` template ${await migrated(migrations)}`
  await onServer(server, `create database ${name}${template}`)
  const url = new URL(server)
  url.pathname = `/${name}`
  return placeOf({ engine, dataDir, url: url.href, drop: () => onServer(server, `drop database ${name} with (force)`) })
}

const templates = new Map<Migrations, Promise<string>>()

/** The name of a database that has had these migrations and that nobody is connected to. */
function migrated(migrations: Migrations): Promise<string> {
  const made = templates.get(migrations) ?? migrateNew(migrations)
  templates.set(migrations, made)
  return made
}

async function migrateNew(migrations: Migrations): Promise<string> {
  const { url, dataDir } = await createTestPlace('postgres')
  const storage = await openStorage({ url, dataDir, migrations })
  await storage.close()
  await rm(dataDir, { recursive: true, force: true })
  return new URL(url).pathname.slice(1)
}

function placeOf(place: { engine: TestEngine; dataDir: string; url: string; drop?: () => Promise<void> }): TestPlace {
  const remove = async () => {
    await place.drop?.()
    await rm(place.dataDir, { recursive: true, force: true })
  }
  return { engine: place.engine, url: place.url, dataDir: place.dataDir, remove, [Symbol.asyncDispose]: remove }
}

function serverUrl(): Promise<string> {
  const given = process.env[SERVER_VARIABLE]
  if (given !== undefined) return Promise.resolve(given)
  cluster ??= startPostgresCluster()
  return cluster
}

async function onServer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
