import { isSigned, type Checkpoint } from './checkpoint.ts'
import { exportLine, type ExportLine } from './export.ts'
import { isRemovalSigned, type Removal } from './removal.ts'
import type { AuditFault, AuditFilter } from './schema.ts'
import { GENESIS, hashRecord } from './seal.ts'
import { parsePublicKey, type PublicKey } from './signing-key.ts'

export type ExportVerdict = {
  readonly ok: boolean
  readonly records: number
  readonly chains: number
  /** Checkpoints whose signature was checked; none without a key. */
  readonly signed: number
  /** True where the export was made without a filter, so that nothing between the first and the last record may be missing. */
  readonly isWhole: boolean
  /** Records after the last signature: genuine only if nobody made them anew. */
  readonly unsigned: number
  readonly removed: number
  readonly faults: readonly AuditFault[]
}

type ChainState = {
  readonly chain: string
  seq: number
  hash: string | undefined
  removal: Removal | undefined
  /** Hashes that something signed says, by their places. */
  readonly anchors: Map<number, string>
  isBegun: boolean
  lastSigned: number
  gap: number | undefined
  fault: AuditFault | undefined
}

/**
 * Reads an exported file from top to bottom, away from the house that made it, and names the first record of each
 * chain that is not as it was written. `pem`: the public keys that may have signed; without them only the records are
 * held against each other, which does not find a file that was made anew.
 */
export async function verifyExport(lines: AsyncIterable<string>, pem?: string): Promise<ExportVerdict> {
  const keys = pem === undefined ? undefined : keysOf(pem)
  const chains = new Map<string, ChainState>()
  const seen = { records: 0, signed: 0, end: undefined as { records: number; filter: AuditFilter } | undefined }
  let lineNumber = 0
  for await (const text of lines) {
    lineNumber += 1
    if (text.trim() === '') continue
    const line = parseLine(text)
    if (!line) faultOf(chains, '?', { seq: 1, kind: 'edited', detail: `line ${lineNumber} is not a line of an export` })
    else if ('end' in line) seen.end = line.end
    else if ('checkpoint' in line) seen.signed += takeCheckpoint(chains, line.checkpoint, keys)
    else if ('removal' in line) takeRemoval(chains, line.removal, keys)
    else {
      seen.records += 1
      takeRecord(chains, line, text)
    }
  }
  return conclude(chains, seen, keys !== undefined)
}

function keysOf(pem: string): ReadonlyMap<string, PublicKey> {
  const blocks = pem.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----/g) ?? [pem]
  return new Map(blocks.map(parsePublicKey).map((key) => [key.id, key]))
}

function parseLine(text: string): ExportLine | undefined {
  try {
    return exportLine.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

function stateOf(chains: Map<string, ChainState>, chain: string): ChainState {
  const known = chains.get(chain)
  if (known) return known
  const state: ChainState = {
    chain,
    seq: 0,
    hash: undefined,
    removal: undefined,
    anchors: new Map(),
    isBegun: false,
    lastSigned: 0,
    gap: undefined,
    fault: undefined,
  }
  chains.set(chain, state)
  return state
}

function faultOf(chains: Map<string, ChainState>, chain: string, fault: Omit<AuditFault, 'chain'>): void {
  stateOf(chains, chain).fault ??= { chain, ...fault }
}

type Keys = ReadonlyMap<string, PublicKey> | undefined

function takeCheckpoint(chains: Map<string, ChainState>, point: Checkpoint, keys: Keys): 0 | 1 {
  if (keys && !isSigned(point, keys)) {
    const detail = 'a checkpoint here is not signed by a key that is trusted'
    faultOf(chains, point.chain, { seq: point.seq, kind: 'checkpoint-mismatch', detail })
    return 0
  }
  stateOf(chains, point.chain).anchors.set(point.seq, point.hash)
  return keys ? 1 : 0
}

function takeRemoval(chains: Map<string, ChainState>, statement: Removal, keys: Keys): void {
  const state = stateOf(chains, statement.chain)
  if (keys && !isRemovalSigned(statement, keys)) {
    const detail = 'a removal of old records is not signed by a key that is trusted'
    faultOf(chains, statement.chain, { seq: statement.seq, kind: 'checkpoint-mismatch', detail })
  }
  state.removal = statement
  state.seq = statement.seq
  state.hash = statement.hash
  state.anchors.set(statement.seq, statement.hash)
}

type RecordLine = Extract<ExportLine, { seq: number }>

function takeRecord(chains: Map<string, ChainState>, line: RecordLine, text: string): void {
  const { chain, seq } = line
  const state = stateOf(chains, chain)
  const found = holdAgainst(state, line, writtenText(text))
  if (found) faultOf(chains, chain, { seq, ...found })
  if (state.anchors.has(seq)) state.lastSigned = seq
  if (seq !== state.seq + 1 && !isLeftOver(state, seq)) state.gap ??= state.seq + 1
  state.isBegun = true
  state.seq = seq
  state.hash = line.hash
}

/** Where a removal was interrupted, some of what it covers is still there. */
function isLeftOver({ isBegun, removal }: ChainState, seq: number): boolean {
  return !isBegun && removal !== undefined && seq <= removal.seq
}

/** What is wrong with a record, after those before it. */
function holdAgainst(
  state: ChainState,
  { seq, prev, hash }: RecordLine,
  text: string,
): Pick<AuditFault, 'kind' | 'detail'> | undefined {
  if (hashRecord(prev, text) !== hash) return { kind: 'edited', detail: 'its text and its hash do not belong together' }
  const anchor = state.anchors.get(seq) ?? hash
  if (anchor !== hash) return { kind: 'checkpoint-mismatch', detail: 'a checkpoint says otherwise' }
  if (isLeftOver(state, seq)) return undefined
  if (seq <= state.seq) return { kind: 'reordered', detail: `it comes after number ${state.seq}` }
  if (seq === state.seq + 1 && prev !== (state.hash ?? GENESIS))
    return { kind: 'edited', detail: 'it was made after another record than the one before it' }
  return undefined
}

/** The text that was hashed: the record alone, its members in the order of their names. */
function writtenText(text: string): string {
  const { hash: _, ...record } = JSON.parse(text)
  return JSON.stringify(Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1))))
}

function conclude(
  chains: Map<string, ChainState>,
  seen: { records: number; signed: number; end: { records: number; filter: AuditFilter } | undefined },
  isChecked: boolean,
): ExportVerdict {
  const isWhole = seen.end !== undefined && Object.keys(seen.end.filter).length === 0
  const states = [...chains.values()]
  if (isWhole) for (const state of states) state.fault ??= missingOf(state)
  const faults = states.flatMap(({ fault }) => (fault ? [fault] : []))
  const end = endFault(seen)
  const unsigned = states.reduce((sum, { seq, lastSigned }) => sum + (lastSigned > 0 ? seq - lastSigned : 0), 0)
  return {
    ok: faults.length === 0 && !end,
    records: seen.records,
    chains: states.filter(({ seq }) => seq > 0).length,
    signed: seen.signed,
    isWhole,
    unsigned: isChecked ? unsigned : seen.records,
    removed: states.reduce((sum, { removal }) => sum + (removal?.seq ?? 0), 0),
    faults: end ? [...faults, end] : faults,
  }
}

function missingOf({ chain, gap, seq, anchors }: ChainState): AuditFault | undefined {
  if (gap !== undefined) return { chain, seq: gap, kind: 'removed', detail: 'it is not in the file' }
  const last = Math.max(0, ...anchors.keys())
  if (last > seq) return { chain, seq: seq + 1, kind: 'truncated', detail: `the chain went on to number ${last}` }
  return undefined
}

function endFault(seen: { records: number; end: { records: number } | undefined }): AuditFault | undefined {
  if (!seen.end)
    return { chain: '?', seq: 1, kind: 'truncated', detail: 'the file has no last line: its end is missing' }
  if (seen.end.records === seen.records) return undefined
  const detail = `the file has ${seen.records} records, and was made with ${seen.end.records}`
  return { chain: '?', seq: 1, kind: 'removed', detail }
}
