/** For tests only: identity over a fresh database, with a clock to move. */
import { openTestStorage, type TestEngine } from '../storage/testing.ts'
import { AUDIT_MIGRATIONS, createAudit, type Audit } from '#audit'
import type { Storage } from '#storage'
import { SILENT } from '../audit/testing.ts'
import { createIdentity, IDENTITY_MIGRATIONS, type Identity } from './index.ts'

export const START = 1_790_000_000_000
export const PUBLIC_URL = 'https://gate.example'

export type TestIdentity = {
  readonly identity: Identity
  readonly audit: Audit
  readonly storage: Storage
  readonly dataDir: string
  readonly clock: { at: number; now(): number }
  /** Another replica over the same database. */
  openReplica(): Promise<Identity>
  [Symbol.asyncDispose](): Promise<void>
}

export async function openTestIdentity(engine: TestEngine): Promise<TestIdentity> {
  const place = await openTestStorage({ engine, migrations: { ...AUDIT_MIGRATIONS, ...IDENTITY_MIGRATIONS } })
  const clock = { at: START, now: () => clock.at }
  const { dataDir } = place.place
  const audit = await createAudit({ storage: place.storage, clock, log: SILENT, dataDir })
  const opened: Identity[] = []
  const open = async (storage: Storage) => {
    const publicUrl = () => PUBLIC_URL
    const identity = await createIdentity({ storage, clock, audit, log: SILENT, publicUrl })
    opened.push(identity)
    return identity
  }
  return {
    identity: await open(place.storage),
    audit,
    storage: place.storage,
    dataDir,
    clock,
    // SQLite is for one process: there, the other replica shares its storage.
    openReplica: async () => open(engine === 'postgres' ? await place.openReplica() : place.storage),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(opened.map((identity) => identity.close()))
      await audit.close()
      await place.close()
    },
  }
}
