/** For tests only: a trail in a fresh database, and what one does to it. */
import { systemClock, type Clock } from '#kernel'
import type { Storage } from '#storage'
import type { Log } from '#telemetry'
import { openTestStorage, type TestEngine, type TestStorage } from '../storage/testing.ts'
import { AUDIT_MIGRATIONS } from './migrations.ts'
import type { AuditEvent } from './schema.ts'
import { createAudit, type Audit, type AuditOptions } from './service.ts'

/** A log that nobody reads. */
export const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => SILENT }

/** A trail to read and write; `restart` closes it and opens the same again, as a new process would. */
export type TestTrail = {
  readonly place: TestStorage
  readonly storage: Storage
  readonly dataDir: string
  readonly audit: Audit
  restart(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export async function openTestTrail(
  engine: TestEngine,
  options: AuditOptions = {},
  clock: Clock = systemClock,
): Promise<TestTrail> {
  const place = await openTestStorage({ engine, migrations: AUDIT_MIGRATIONS })
  const { storage } = place
  const { dataDir } = place.place
  const open = () => createAudit({ storage, clock, log: SILENT, dataDir, options })
  let audit = await open()
  return {
    place,
    storage,
    dataDir,
    get audit() {
      return audit
    },
    restart: async () => {
      await audit.close()
      audit = await open()
    },
    [Symbol.asyncDispose]: async () => {
      await audit.close()
      await place.close()
    },
  }
}

/** A call as the pipeline would tell it. */
export function callOf(number: number, more: Partial<AuditEvent> = {}): AuditEvent {
  return {
    what: 'tools/call',
    decision: 'allowed',
    reason: 'the gateway offers it',
    userId: `user${number % 7}@example.com`,
    keyId: 'key_01a1fcdb0123456789abcdef01234567',
    client: 'claude-code/2.1.0',
    face: 'mcp',
    gateway: 'demo',
    server: 'everything',
    tool: 'echo',
    toolName: 'echo',
    latencyMs: 1.5,
    requestBytes: 120,
    responseBytes: 340,
    argsHash: 'sha256-0Zb4o6ZyJ2mQ0r6o2v8w8mF7C8h5Y7gVnq2rPp3kS2c',
    traceId: number.toString(16).padStart(32, '0'),
    ...more,
  }
}

export async function recordCalls(audit: Audit, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, index) => audit.record(callOf(index))))
}
