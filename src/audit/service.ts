import type { AdminCaller } from '#http'
import type { Clock, JsonObject } from '#kernel'
import type { Storage } from '#storage'
import type { Log, Metrics } from '#telemetry'
import { Announcer } from './announcer.ts'
import { noteInRequest } from './witness.ts'
import { Checkpointer } from './checkpointer.ts'
import { exportTrail, type ExportLine } from './export.ts'
import { followTrail, type FollowRequest } from './follow.ts'
import { createDuty } from './duty.ts'
import { Forwarder, type Collector } from './forwarder.ts'
import { Keeping } from './keeping.ts'
import { Ledger } from './ledger.ts'
import { PayloadSeal, toPayload } from './payload.ts'
import { Recorder, type Commit } from './recorder.ts'
import type {
  AuditEvent,
  AuditFilter,
  AuditPage,
  AuditPageRequest,
  AuditRecord,
  AuditVerdict,
  ShownPayload,
} from './schema.ts'
import type { RetentionReport } from './retention.ts'
import { searchTrail } from './search.ts'
import { readPayload, showRecord, type Place } from './show.ts'
import { readSigningKey } from './signing-key.ts'
import { Spool } from './spool.ts'
import { createAuditStore, type AuditStore } from './store.ts'
import { verifyTrail, type VerifyRequest } from './verify.ts'

export type AuditOptions = {
  /** When the store is down: refuse what cannot be recorded, or keep records on disk until it is back. */
  readonly onStoreFailure?: 'refuse' | 'spool'
  readonly maxWaiting?: number
  readonly maxBatch?: number
  readonly maxWaitingChars?: number
  readonly maxBatchChars?: number
  readonly checkpointEveryRecords?: number
  readonly checkpointEveryMs?: number
  /** How long a batch may take before the store counts as down. */
  readonly storeTimeoutMs?: number
  /** How long a store that is down is left alone. */
  readonly retryMs?: number
  readonly spoolMaxBytes?: number
  /** How often, at least, the forwarder looks at all chains. */
  readonly forwardEveryMs?: number
  /** For how long records and payloads are kept; for ever where it is not said. */
  readonly keepMs?: number | undefined
  readonly keepPayloadsMs?: number | undefined
}

export type AuditDeps = {
  readonly storage: Storage
  readonly clock: Clock
  readonly log: Log
  readonly dataDir: string
  readonly options?: AuditOptions
  readonly metrics?: Pick<Metrics, 'auditCommit' | 'auditMoved'>
  /** Where records are sent as OpenTelemetry logs. */
  readonly collector?: Collector | undefined
}

export type Audit = {
  /**
   * Resolves once the record survives `kill -9`. Rejects with a Problem (`audit/overloaded`, `audit/unavailable`) when
   * it cannot be kept; what was to be recorded must then not be done, or its result not be handed out.
   * `payload`: kept beside the record, encrypted, in the same commit.
   */
  record(event: AuditEvent, payload?: JsonObject): Promise<void>
  /** One record, with its hash. */
  show(place: Place): Promise<AuditRecord & { hash: string }>
  /** What was recorded beside it. That it was read is recorded too. */
  readPayload(by: AdminCaller, place: Place): Promise<ShownPayload>
  /** The matching records, newest first. Rejects with `audit/bad-cursor` for a cursor that no answer gave. */
  search(filter: AuditFilter, request?: AuditPageRequest): Promise<AuditPage>
  /** The matching records with what was signed of them. Resolves once it is recorded that somebody takes them. */
  export(by: AdminCaller, filter: AuditFilter): Promise<AsyncIterable<ExportLine>>
  /** PEM of all keys that sign the trail. */
  publicKeys(): Promise<{ readonly publicKey: string }[]>
  /** The matching records of all replicas from now on; ends when the signal aborts. */
  follow(request: FollowRequest): AsyncIterable<AuditRecord>
  /** Reads the trail and names the first record that is not as it was written. */
  verify(request?: VerifyRequest): Promise<AuditVerdict>
  /** Removes what is older than it is to be kept, now; it also happens by itself every hour. */
  removeOld(): Promise<RetentionReport>
  /** PEM of the key that signs this replica's checkpoints. Keep a copy where the house cannot reach it. */
  publicKey(): string
  /** For health pages: where records go now, and how many wait. */
  state(): AuditState
  /** Writes what was accepted, signs the end of the chain and accepts nothing more. */
  close(): Promise<void>
}

export type AuditState = {
  readonly writesTo: 'store' | 'spool' | 'nowhere'
  readonly waiting: number
  /** Records that wait for the collector, as far as this replica knows. */
  readonly unforwarded: number
}

const DEFAULTS = {
  onStoreFailure: 'refuse',
  maxWaiting: 10_000,
  maxBatch: 512,
  maxWaitingChars: 67_108_864,
  maxBatchChars: 4_194_304,
  checkpointEveryRecords: 1_000,
  checkpointEveryMs: 60_000,
  storeTimeoutMs: 5_000,
  retryMs: 1_000,
  spoolMaxBytes: 1_073_741_824,
} as const satisfies AuditOptions

/** Opens the trail and starts this process's chain. Rejects when the store is down: a house that cannot record does not start. */
export async function createAudit(deps: AuditDeps): Promise<Audit> {
  const parts = await openParts(deps)
  const { store, recorder, ledger, key, payloadSeal } = parts
  const { storage, clock, dataDir } = deps
  const record: Audit['record'] = (event, payload) =>
    recorder.record(noteInRequest(event), payload && toPayload(payload))
  const duty = createDuty({ store, clock, replica: storage.replicaId, name: 'retention' })
  const { keepMs, keepPayloadsMs } = deps.options ?? {}
  const ownChain = () => ledger.chain
  const onRemoved = (records: number) => deps.metrics?.auditMoved('removed', records)
  const keeping = new Keeping({ ...deps, onRemoved, store, key, duty, record, ownChain, keepMs, keepPayloadsMs })
  const forwarder = await openForwarder(deps, store)
  const liveHead = () => ledger.storedHead()
  const verifying = { store, payloadSeal, clock, dataDir, ownKey: key.publicKey, liveHead }
  return {
    record,
    show: (place) => showRecord(store, place),
    readPayload: (by, place) => readPayload({ store, seal: payloadSeal, record }, by, place),
    search: (filter, request = {}) => searchTrail(store, filter, request),
    export: (by, filter) => recordedExport({ store, record }, by, filter),
    publicKeys: async () => (await store.publicKeys()).map((row) => ({ publicKey: row.public_key })),
    follow: (request) => followTrail({ store, storage }, request),
    verify: (request) => verifyTrail(verifying, request),
    publicKey: () => key.publicKey.pem,
    state: () => ({ writesTo: writesTo(ledger.state), waiting: recorder.waiting, unforwarded: forwarder?.behind ?? 0 }),
    removeOld: () => keeping.run(),
    close: async () => {
      await keeping.close()
      await forwarder?.close()
      await recorder.close()
      await ledger.close()
      await parts.announcer.close()
    },
  }
}

/** What the trail is made of, from the store up. */
async function openParts(deps: AuditDeps) {
  const { storage, clock, log, dataDir } = deps
  const options = { ...DEFAULTS, ...deps.options }
  const store = createAuditStore(storage)
  const key = await readSigningKey(dataDir)
  const replica = storage.replicaId
  await store.addKey({ key_id: key.id, public_key: key.publicKey.pem, replica, created_at: clock.now() })
  const { checkpointEveryRecords: everyRecords, checkpointEveryMs: everyMs } = options
  const checkpointer = new Checkpointer({ store, key, clock, log, dataDir, everyRecords, everyMs })
  const payloadSeal = new PayloadSeal(await storage.sharedKey('audit.payloads'))
  const spool = new Spool(dataDir, options.spoolMaxBytes)
  const writing = { store, spool, payloadSeal, checkpointer, clock, log, replica, signingKeyId: key.id }
  const ledger = await Ledger.open({ ...options, ...writing })
  const announcer = new Announcer(storage.changes, log)
  const onStored = (commit: Commit): void => {
    announcer.note(ledger.chain)
    deps.metrics?.auditCommit(commit)
  }
  const recorder = new Recorder({ ledger, clock, options, onStored })
  return { store, key, payloadSeal, ledger, announcer, recorder }
}

async function openForwarder(deps: AuditDeps, store: AuditStore): Promise<Forwarder | undefined> {
  const { storage, clock, log, collector, metrics, options } = deps
  if (!collector) return undefined
  const duty = createDuty({ store, clock, replica: storage.replicaId, name: 'otlp' })
  const timing = { retryMs: options?.retryMs ?? DEFAULTS.retryMs, renewMs: options?.forwardEveryMs }
  const onForwarded = (records: number) => metrics?.auditMoved('forwarded', records)
  return Forwarder.open({
    store,
    storage,
    log,
    duty,
    collector,
    onForwarded,
    ...timing,
  })
}

async function recordedExport(
  deps: { store: AuditStore; record: Audit['record'] },
  by: AdminCaller,
  filter: AuditFilter,
): Promise<AsyncIterable<ExportLine>> {
  const { userId, keyId, face } = by
  await deps.record({ what: 'audit.exported', decision: 'allowed', userId, keyId, face, extra: { filter } })
  return exportTrail(deps.store, filter)
}

function writesTo(state: Ledger['state']): AuditState['writesTo'] {
  switch (state) {
    case 'store':
    case 'spool':
      return state
    case 'unsure':
    case 'broken':
      return 'nowhere'
  }
}
