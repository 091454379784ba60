import type { Clock } from '#kernel'
import { isSigned, readFromFile, type Checkpoint } from './checkpoint.ts'
import { checkRow, parseRecord, type Expected } from './check-row.ts'
import { namedEnd } from './named-end.ts'
import { farthestByChain, isRemovalSigned, readRemovals, type Removal } from './removal.ts'
import type { AuditFault, AuditVerdict } from './schema.ts'
import { checkPayloads } from './verify-payloads.ts'
import type { PayloadSeal } from './payload.ts'
import { GENESIS, hashRecord, type Head } from './seal.ts'
import { parsePublicKey, type PublicKey } from './signing-key.ts'
import type { AuditStore } from './store.ts'

export type VerifyDeps = {
  readonly store: AuditStore
  readonly payloadSeal: PayloadSeal
  readonly clock: Clock
  readonly dataDir: string
  readonly ownKey: PublicKey
  /** The end of the chain this process writes, when all of it is in the store. */
  readonly liveHead: () => Promise<Head | undefined>
}

export type VerifyRequest = {
  /** Milliseconds since 1970: what was signed before is taken on trust, and each chain is read from there on. */
  readonly from?: number | undefined
  /** PEM of the only key that may have signed. Without it: this replica's, and those listed in the database. */
  readonly publicKey?: string | undefined
}

const PAGE_ROWS = 500
/** How long a process that still writes may be behind with its checkpoints. */
const UNSIGNED_FOR_MS = 120_000

/** What is known of a chain from outside its own records, read before them. */
type Evidence = {
  readonly chain: string
  readonly isListed: boolean
  readonly checkpoints: readonly Checkpoint[]
  /** Ends of this chain that the first records of later chains name. */
  readonly namedEnds: readonly Head[]
  readonly liveHead: Head | undefined
  /** What retention has removed, and the first record there still is: before the end of the removal where it was interrupted. */
  readonly removal: Removal | undefined
  readonly firstSeq: number | undefined
}

/**
 * Reads every chain page by page and names the first record of each that was edited, removed, reordered or inserted,
 * or that a checkpoint contradicts. Records written meanwhile do not disturb it.
 */
export async function verifyTrail(deps: VerifyDeps, request: VerifyRequest = {}): Promise<AuditVerdict> {
  const keys = await trustedKeys(deps, request.publicKey)
  const evidence = await gatherEvidence(deps)
  const results = []
  for (const chain of evidence)
    results.push(await verifyUndisturbed(deps, { evidence: chain, keys, from: request.from }))
  const payloads = await checkPayloads(deps, request.from ?? 0)
  const faults = [...results.map(({ fault }) => fault), payloads].filter((fault) => fault !== undefined)
  return {
    ok: faults.length === 0,
    records: results.reduce((sum, { records }) => sum + records, 0),
    chains: results.length,
    checkpoints: evidence.reduce((sum, { checkpoints }) => sum + checkpoints.length, 0),
    removed: sumOf(results.map(({ removal }) => removal)),
    problem: faults[0] ?? null,
    faults,
  }
}

async function trustedKeys(deps: VerifyDeps, pem: string | undefined): Promise<ReadonlyMap<string, PublicKey>> {
  const listed = pem === undefined ? (await deps.store.publicKeys()).map((row) => row.public_key) : [pem]
  const keys = listed.map(parsePublicKey)
  if (pem === undefined) keys.push(deps.ownKey)
  return new Map(keys.map((key) => [key.id, key]))
}

/** Checkpoints first, then who exists, then the records: so whatever is named here was stored before it is looked for. */
async function gatherEvidence(deps: VerifyDeps): Promise<Evidence[]> {
  const liveHead = await deps.liveHead()
  const fromFile = await readFromFile(deps.dataDir)
  const listed = (await deps.store.chains()).map((row) => row.chain)
  const inUse = await deps.store.chainsInUse()
  const removals = await gatherRemovals(deps)
  const chains = [...new Set([...listed, ...[...inUse, ...fromFile.keys(), ...removals.keys()].sort()])]
  const named = await readNamedEnds(deps.store, chains, removals)
  for (const end of named) if (!chains.includes(end.chain)) chains.push(end.chain)
  return Promise.all(
    chains.map(async (chain) => ({
      chain,
      isListed: listed.includes(chain),
      checkpoints: [...(fromFile.get(chain) ?? []), ...(await deps.store.checkpointsOf(chain))],
      namedEnds: named.filter((end) => end.chain === chain),
      liveHead: liveHead?.chain === chain ? liveHead : undefined,
      removal: removals.get(chain),
      firstSeq: await deps.store.firstSeq(chain),
    })),
  )
}

/** Of each chain the statement that goes farthest, in the database or in the file beside it. */
async function gatherRemovals({ store, dataDir }: VerifyDeps): Promise<ReadonlyMap<string, Removal>> {
  return farthestByChain([...(await readRemovals(dataDir)), ...(await store.removals())])
}

/** What the first record of each chain names; where retention has removed that record, what it kept of it. */
async function readNamedEnds(
  store: AuditStore,
  chains: readonly string[],
  removals: ReadonlyMap<string, Removal>,
): Promise<Head[]> {
  const ends: Head[] = []
  for (const chain of chains) {
    const removal = removals.get(chain)
    const end = removal ? removal.previous : await readNamedEnd(store, chain)
    if (end) ends.push(end)
  }
  return ends
}

async function readNamedEnd(store: AuditStore, chain: string): Promise<Head | undefined> {
  const [row] = await store.page(chain, 0, 1)
  if (row?.seq !== 1 || hashRecord(GENESIS, row.record) !== row.hash) return undefined
  return namedEnd(parseRecord(row.record))
}

type ChainTask = {
  readonly evidence: Evidence
  readonly keys: ReadonlyMap<string, PublicKey>
  readonly from: number | undefined
}
type ChainResult = {
  readonly records: number
  readonly fault?: AuditFault | undefined
  readonly removal?: Removal | undefined
}

/** What retention removed, chains taken together. */
function sumOf(removals: readonly (Removal | undefined)[]): AuditVerdict['removed'] {
  const known = removals.filter((each) => each !== undefined)
  const records = known.reduce((sum, { seq }) => sum + seq, 0)
  return { records, until: known.length === 0 ? null : Math.max(...known.map(({ lastAt }) => lastAt)) }
}

/** Retention may remove records while they are read; then the rest is looked at once more. */
async function verifyUndisturbed(deps: VerifyDeps, task: ChainTask): Promise<ChainResult> {
  const { evidence } = task
  const result = { ...(await verifyChain(deps, task)), removal: evidence.removal }
  if (!result.fault) return result
  const removal = (await gatherRemovals(deps)).get(evidence.chain)
  const firstSeq = await deps.store.firstSeq(evidence.chain)
  const isSame = removal?.seq === evidence.removal?.seq && firstSeq === evidence.firstSeq
  return isSame ? result : verifyUndisturbed(deps, { ...task, evidence: { ...evidence, removal, firstSeq } })
}

async function verifyChain(deps: VerifyDeps, task: ChainTask): Promise<ChainResult> {
  const { evidence, keys } = task
  const forged = evidence.checkpoints.find((point) => !isSigned(point, keys))
  if (forged) return { records: 0, fault: mismatch(forged, 'a checkpoint here is not signed by a key that is trusted') }
  const { removal } = evidence
  if (removal && !isRemovalSigned(removal, keys))
    return { records: 0, fault: mismatch(removal, 'a removal of old records is not signed by a key that is trusted') }
  const start = startOf(task)
  const read = await readChain(deps.store, evidence, start)
  if (read.fault) return read
  return { records: read.records, fault: checkEnd(evidence, read) ?? (await checkSurplus(deps, evidence, read)) }
}

/** The last checkpoint made by `from`; without one, the beginning, or what retention has left of it. */
function startOf({ evidence, from }: ChainTask): Expected {
  const trusted = from === undefined ? [] : evidence.checkpoints.filter((point) => point.at <= from)
  const last = trusted.toSorted((a, b) => a.seq - b.seq).at(-1)
  const first = beginningOf(evidence)
  return last && last.seq >= first.seq ? { seq: last.seq, previousHash: undefined } : first
}

/** Records that a removal covers and that are still there must be genuine like all others. */
function beginningOf({ removal, firstSeq }: Evidence): Expected {
  if (!removal) return { seq: 1, previousHash: GENESIS }
  if (firstSeq !== undefined && firstSeq <= removal.seq) return { seq: firstSeq, previousHash: undefined }
  return { seq: removal.seq + 1, previousHash: removal.hash }
}

type ChainRead = ChainResult & { readonly next: Expected; readonly lastAt: number }

async function readChain(store: AuditStore, evidence: Evidence, start: Expected): Promise<ChainRead> {
  const anchors = anchorsOf(evidence)
  let next = start
  let lastAt = 0
  for (;;) {
    const rows = await store.page(evidence.chain, next.seq - 1, PAGE_ROWS)
    for (const row of rows) {
      const finding = checkRow(row, next)
      const records = next.seq - start.seq
      if (finding.kind === 'fault') return { records, next, lastAt, fault: finding.fault }
      if (finding.kind === 'misplaced')
        return {
          records,
          next,
          lastAt,
          fault: await explainMisplaced(store, { chain: row.chain, place: row.seq, claims: finding.claims }),
        }
      const anchor = anchors.get(row.seq)
      if (anchor?.some((point) => point.hash !== row.hash))
        return {
          records,
          next,
          lastAt,
          fault: mismatch(row, 'the chain was made anew up to here: a checkpoint says otherwise'),
        }
      next = { seq: row.seq + 1, previousHash: row.hash }
      lastAt = row.at
    }
    if (rows.length < PAGE_ROWS) return { records: next.seq - start.seq, next, lastAt }
  }
}

function anchorsOf(evidence: Evidence): ReadonlyMap<number, readonly Head[]> {
  const live = evidence.liveHead ? [evidence.liveHead] : []
  const removed = evidence.removal ? [evidence.removal] : []
  return Map.groupBy([...evidence.checkpoints, ...evidence.namedEnds, ...live, ...removed], (point) => point.seq)
}

/** A genuine record is in another's place: swapped with it, moved up over a gap, or pushed down by a foreign one. */
async function explainMisplaced(
  store: AuditStore,
  found: { chain: string; place: number; claims: number },
): Promise<AuditFault> {
  const { chain, place, claims } = found
  const detail = `the record with the number ${claims} is in its place`
  if (claims < place)
    return { chain, seq: claims, kind: 'inserted', detail: `the genuine record ${claims} was moved to ${place}` }
  const isElsewhere = await isClaimed(store, { chain, after: place, seq: place })
  return { chain, seq: place, kind: isElsewhere ? 'reordered' : 'removed', detail }
}

/** True when a record after `after` says that it is number `seq`. */
async function isClaimed(store: AuditStore, request: { chain: string; after: number; seq: number }): Promise<boolean> {
  let after = request.after
  for (;;) {
    const rows = await store.page(request.chain, after, PAGE_ROWS)
    if (rows.some((row) => parseRecord(row.record)?.seq === request.seq)) return true
    if (rows.length < PAGE_ROWS) return false
    after = rows.at(-1)?.seq ?? after
  }
}

/** Every record read is genuine; now whether the last one is not before the end of the chain. */
function checkEnd(evidence: Evidence, read: ChainRead): AuditFault | undefined {
  const { chain } = evidence
  const last = read.next.seq - 1
  if (last === 0) return { chain, seq: 1, kind: 'removed', detail: 'the whole chain is gone' }
  const missing = [...anchorsOf(evidence).keys()].filter((seq) => seq > last)
  if (missing.length > 0)
    return { chain, seq: last + 1, kind: 'truncated', detail: `the chain went on to number ${Math.max(...missing)}` }
  if (!evidence.isListed)
    return { chain, seq: 1, kind: 'removed', detail: 'the chain is not in the list of chains any more' }
  return undefined
}

/** … and not after it. */
async function checkSurplus(deps: VerifyDeps, evidence: Evidence, read: ChainRead): Promise<AuditFault | undefined> {
  const { chain, checkpoints, namedEnds } = evidence
  const last = read.next.seq - 1
  const inserted = (seq: number, detail: string): AuditFault => ({ chain, seq, kind: 'inserted', detail })
  const closing = checkpoints.find((point) => point.isLast)
  if (closing && last > closing.seq) return inserted(closing.seq + 1, 'the chain was closed before it')
  // What this process writes meanwhile is known to it by now.
  const live = evidence.liveHead && (await deps.liveHead())
  if (live?.chain === chain)
    return last > live.seq ? inserted(live.seq + 1, 'its writer knows nothing of it') : undefined
  const known = Math.max(...namedEnds.map(({ seq }) => seq), ...checkpoints.map(({ seq }) => seq))
  const mayStillWrite = read.lastAt > deps.clock.now() - UNSIGNED_FOR_MS
  if (namedEnds.length > 0 && last > known && !mayStillWrite)
    return inserted(known + 1, 'a later chain and all checkpoints know nothing of it')
  return undefined
}

function mismatch(place: { chain: string; seq: number }, detail: string): AuditFault {
  return { chain: place.chain, seq: place.seq, kind: 'checkpoint-mismatch', detail }
}
