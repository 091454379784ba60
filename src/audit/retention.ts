import type { Clock } from '#kernel'
import type { Log } from '#telemetry'
import { isSigned, signCheckpoint } from './checkpoint.ts'
import { checkRow, type Expected } from './check-row.ts'
import type { Duty } from './duty.ts'
import { appendRemoval, farthestByChain, signRemoval, type Removal, type RemovalStatement } from './removal.ts'
import type { AuditEvent, AuditFault } from './schema.ts'
import { GENESIS, type Head } from './seal.ts'
import { parsePublicKey, type SigningKey } from './signing-key.ts'
import type { AuditStore } from './store.ts'
import { namedEnd } from './named-end.ts'

export type RetentionDeps = {
  readonly store: AuditStore
  readonly key: SigningKey
  readonly clock: Clock
  readonly log: Log
  readonly dataDir: string
  readonly duty: Duty
  readonly record: (event: AuditEvent) => Promise<void>
  /** The chain that this process writes. */
  readonly ownChain: () => string
  /** For how long records and payloads are kept; for ever where it is not said. */
  readonly keepMs?: number | undefined
  readonly keepPayloadsMs?: number | undefined
  readonly onRemoved?: ((records: number) => void) | undefined
}

export type RetentionReport = {
  readonly records: number
  readonly payloads: number
  /** Chains that are not as they were written; nothing of them was removed. */
  readonly faults: readonly AuditFault[]
}

const DAY_MS = 86_400_000
const PAGE_ROWS = 500
const NOTHING: RetentionReport = { records: 0, payloads: 0, faults: [] }

/**
 * Removes what is older than it is to be kept, in whole signed segments from the beginning of each chain. Before
 * anything is removed the segment is verified (what was tampered with stays as evidence), the removal is recorded, and a
 * signed statement takes the segment's place. Whenever it is interrupted, the trail verifies, and the next run ends what
 * was begun. Does nothing while another replica is at it.
 */
export async function removeOld(deps: RetentionDeps, signal: AbortSignal): Promise<RetentionReport> {
  if (!(await deps.duty.hold())) return NOTHING
  try {
    const payloads = await removeOldPayloads(deps, signal)
    const records = await removeOldRecords(deps, signal)
    return { ...records, payloads }
  } finally {
    await deps.duty.leave()
  }
}

async function removeOldRecords(deps: RetentionDeps, signal: AbortSignal): Promise<Omit<RetentionReport, 'payloads'>> {
  const { store, keepMs, clock } = deps
  if (keepMs === undefined) return NOTHING
  const before = clock.now() - keepMs
  const removed = farthestByChain(await store.removals())
  const faults: AuditFault[] = []
  let records = 0
  for (const { chain } of await store.chains()) {
    const last = removed.get(chain)
    if (signal.aborted || !(await deps.duty.hold())) break
    if (last) await clearUpTo(deps, last, signal)
    const segment = await readSegment(deps, { chain, last, before })
    if (segment.kind === 'fault') faults.push(segment.fault)
    if (segment.kind === 'sealed') records += await removeSegment(deps, segment, signal)
  }
  for (const fault of faults) await noteFault(deps, fault)
  return { records, faults }
}

type Segment =
  | { readonly kind: 'none' }
  | { readonly kind: 'fault'; readonly fault: AuditFault }
  | { readonly kind: 'sealed'; readonly statement: RemovalStatement; readonly firstSeq: number }

/** What of a chain is old enough and ends with a signature, once all of it is found to be genuine. */
async function readSegment(
  deps: RetentionDeps,
  place: { chain: string; last: Removal | undefined; before: number },
): Promise<Segment> {
  const { chain, last, before } = place
  const end = await segmentEnd(deps, chain, before)
  const firstSeq = (last?.seq ?? 0) + 1
  if (!end || end.seq < firstSeq) return { kind: 'none' }
  const start = { seq: firstSeq, previousHash: last?.hash ?? GENESIS }
  const read = await readGenuine(deps.store, { end, start, before })
  if (read.kind !== 'genuine') return read
  const firstAt = last?.firstAt ?? read.firstAt
  const previous = last ? last.previous : read.previous
  const statement = { end, firstAt, lastAt: read.lastAt, previous, at: deps.clock.now() }
  return { kind: 'sealed', statement, firstSeq }
}

type Genuine = {
  readonly kind: 'genuine'
  readonly firstAt: number
  readonly lastAt: number
  readonly previous: Head | null
}

/** Reads from `start` to `end`. Gives up at a record that is not old enough: somebody's clock went back. */
async function readGenuine(
  store: AuditStore,
  range: { end: Head; start: Expected; before: number },
): Promise<Genuine | Exclude<Segment, { kind: 'sealed' }>> {
  const { end, start, before } = range
  const { chain } = end
  const times: number[] = []
  let previous: Head | null = null
  let next: Expected = start
  for await (const row of rowsOf(store, chain, { from: start.seq, to: end.seq })) {
    const finding = checkRow(row, next)
    if (finding.kind === 'fault') return finding
    if (finding.kind === 'misplaced') return faultAt(chain, row.seq, 'reordered', 'another record is in its place')
    if (row.at >= before) return { kind: 'none' }
    if (row.seq === 1) previous = namedEnd(finding.record) ?? null
    next = { seq: row.seq + 1, previousHash: row.hash }
    times.splice(1, 1, row.at)
  }
  if (next.seq <= end.seq) return faultAt(chain, next.seq, 'removed', 'it is not there any more')
  if (next.previousHash !== end.hash)
    return faultAt(chain, end.seq, 'checkpoint-mismatch', 'a checkpoint says otherwise')
  return { kind: 'genuine', firstAt: times[0] ?? 0, lastAt: times.at(-1) ?? 0, previous }
}

async function* rowsOf(store: AuditStore, chain: string, range: { from: number; to: number }) {
  let next = range.from
  while (next <= range.to) {
    const rows = await store.page(chain, next - 1, Math.min(PAGE_ROWS, range.to - next + 1))
    if (rows.length === 0) return
    yield* rows
    next = (rows.at(-1)?.seq ?? next) + 1
  }
}

function faultAt(
  chain: string,
  seq: number,
  kind: AuditFault['kind'],
  detail: string,
): Extract<Segment, { kind: 'fault' }> {
  return { kind: 'fault', fault: { chain, seq, kind, detail } }
}

/** The last signed place that is old enough. Whoever wrote a chain that is silent for a day and unsigned has died: then we sign. */
async function segmentEnd(deps: RetentionDeps, chain: string, before: number): Promise<Head | undefined> {
  const { store, clock, key } = deps
  const keys = new Map(
    (await store.publicKeys()).map((row) => parsePublicKey(row.public_key)).map((own) => [own.id, own]),
  )
  const points = (await store.checkpointsOf(chain)).filter((point) => point.at < before && isSigned(point, keys))
  const signed = points.at(-1)
  const last = await store.lastRow(chain)
  const row = last && (await store.rowAt(last))
  const isLeft = chain !== deps.ownChain() && row !== undefined && row.at < Math.min(before, clock.now() - DAY_MS)
  if (!isLeft || !last || (signed && signed.seq >= last.seq)) return signed
  await store.addCheckpoint(signCheckpoint(key, { head: last, at: clock.now(), isLast: false }))
  return last
}

async function removeSegment(
  deps: RetentionDeps,
  { statement, firstSeq }: Extract<Segment, { kind: 'sealed' }>,
  signal: AbortSignal,
): Promise<number> {
  const { end, lastAt } = statement
  const count = end.seq - firstSeq + 1
  await deps.record({
    what: 'audit.records-removed',
    decision: 'allowed',
    reason: `older than ${Math.round((deps.keepMs ?? 0) / DAY_MS)} days`,
    extra: { chain: end.chain, from: firstSeq, to: end.seq, records: count, hash: end.hash, until: lastAt },
  })
  const signed = signRemoval(deps.key, statement)
  await appendRemoval(deps.dataDir, signed)
  await deps.store.addRemoval(signed)
  await clearUpTo(deps, signed, signal)
  deps.onRemoved?.(count)
  return count
}

/** Removes what a statement covers, a little at a time, so that no call waits long for its own record. */
async function clearUpTo(deps: RetentionDeps, { chain, seq }: Removal, signal: AbortSignal): Promise<void> {
  for (;;) {
    const first = await deps.store.firstSeq(chain)
    if (first === undefined || first > seq || signal.aborted || !(await deps.duty.hold())) return
    await deps.store.removeUpTo(chain, Math.min(seq, first + PAGE_ROWS - 1))
  }
}

async function removeOldPayloads(deps: RetentionDeps, signal: AbortSignal): Promise<number> {
  const { store, clock, keepPayloadsMs } = deps
  if (keepPayloadsMs === undefined) return 0
  const before = clock.now() - keepPayloadsMs
  let count = 0
  while (!signal.aborted && (await deps.duty.hold())) {
    const removed = await store.removePayloads(before, PAGE_ROWS)
    count += removed
    if (removed < PAGE_ROWS) break
  }
  if (count > 0)
    await deps.record({
      what: 'audit.payloads-removed',
      decision: 'allowed',
      reason: `older than ${Math.round(keepPayloadsMs / DAY_MS)} days`,
      extra: { payloads: count, before },
    })
  return count
}

/** Once a run, and loudly: somebody should look before the evidence is old. */
async function noteFault(deps: RetentionDeps, fault: AuditFault): Promise<void> {
  deps.log.error({ fault }, 'old audit records are kept, because their chain is not as it was written')
  await deps.record({
    what: 'audit.records-removed',
    decision: 'failed',
    reason: 'the chain is not as it was written, so nothing of it is removed',
    extra: { chain: fault.chain, seq: fault.seq, kind: fault.kind },
  })
}
