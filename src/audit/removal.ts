import { sign, verify } from 'node:crypto'
import * as z from 'zod'
import { canonicalJson } from '#kernel'
import { appendLine, readLines } from './kept-lines.ts'
import type { Head } from './seal.ts'
import type { PublicKey, SigningKey } from './signing-key.ts'

const head = z.object({ chain: z.string().max(200), seq: z.int(), hash: z.string().max(100) })

/**
 * A signed statement that a chain's records up to `seq` were removed because they were old. It holds what the rest of
 * the chain, and the chain before it, need to be verified: the hash of the last removed record, and what the first one named.
 */
export const removal = z.object({
  chain: z.string().max(200),
  seq: z.int(),
  hash: z.string().max(100),
  firstAt: z.int(),
  lastAt: z.int(),
  previous: head.nullable(),
  at: z.int(),
  keyId: z.string().max(200),
  signature: z.string().max(200),
})
export type Removal = Readonly<z.output<typeof removal>>

export type RemovalStatement = {
  readonly end: Head
  readonly firstAt: number
  readonly lastAt: number
  readonly previous: Head | null
  readonly at: number
}

/** Signs that these records are gone, and rightly so. */
export function signRemoval(key: SigningKey, statement: RemovalStatement): Removal {
  const { end, firstAt, lastAt, at } = statement
  const previous = statement.previous && pickHead(statement.previous)
  const unsigned = { ...pickHead(end), firstAt, lastAt, previous, at, keyId: key.id }
  return { ...unsigned, signature: sign(null, textOf(unsigned), key.privateKey).toString('base64url') }
}

/** True when one of these keys made the signature, over exactly this statement. */
export function isRemovalSigned(statement: Removal, keys: ReadonlyMap<string, PublicKey>): boolean {
  const { signature, ...unsigned } = statement
  const key = keys.get(statement.keyId)
  return key !== undefined && verify(null, textOf(unsigned), key.key, Buffer.from(signature, 'base64url'))
}

function pickHead({ chain, seq, hash }: Head): Head {
  return { chain, seq, hash }
}

/** The prefix keeps a signature made here from meaning anything elsewhere. */
function textOf(unsigned: Omit<Removal, 'signature'>): Buffer {
  return Buffer.from(`gatehouse audit removal 1\n${canonicalJson(unsigned)}`)
}

const FILE = 'audit-removals.jsonl'

/** Keeps the statement outside the database as well, as checkpoints are. */
export function appendRemoval(dataDir: string, statement: Removal): Promise<void> {
  return appendLine(dataDir, FILE, statement)
}

/** All statements in the file. */
export function readRemovals(dataDir: string): Promise<Removal[]> {
  return readLines(dataDir, FILE, removal)
}

/** The one of each chain that goes farthest. */
export function farthestByChain(statements: readonly Removal[]): Map<string, Removal> {
  const farthest = new Map<string, Removal>()
  for (const each of statements) if (each.seq > (farthest.get(each.chain)?.seq ?? 0)) farthest.set(each.chain, each)
  return farthest
}
