import { sign, verify } from 'node:crypto'
import * as z from 'zod'
import { canonicalJson } from '#kernel'
import { appendLine, readLines } from './kept-lines.ts'
import type { Head } from './seal.ts'
import type { PublicKey, SigningKey } from './signing-key.ts'

/** A signed statement that a chain had this hash at this place. `isLast`: and that nothing comes after it. */
export const checkpoint = z.object({
  chain: z.string().max(200),
  seq: z.int(),
  hash: z.string().max(100),
  at: z.int(),
  isLast: z.boolean(),
  keyId: z.string().max(200),
  signature: z.string().max(200),
})
export type Checkpoint = Readonly<z.output<typeof checkpoint>>

/** Signs that the chain has this end now. */
export function signCheckpoint(key: SigningKey, statement: { head: Head; at: number; isLast: boolean }): Checkpoint {
  const { head, at, isLast } = statement
  const unsigned = { chain: head.chain, seq: head.seq, hash: head.hash, at, isLast, keyId: key.id }
  return { ...unsigned, signature: sign(null, textOf(unsigned), key.privateKey).toString('base64url') }
}

/** True when one of these keys made the signature, over exactly this statement. */
export function isSigned(point: Checkpoint, keys: ReadonlyMap<string, PublicKey>): boolean {
  const { signature, ...unsigned } = point
  const key = keys.get(point.keyId)
  return key !== undefined && verify(null, textOf(unsigned), key.key, Buffer.from(signature, 'base64url'))
}

/** The prefix keeps a signature made here from meaning anything elsewhere. */
function textOf(unsigned: Omit<Checkpoint, 'signature'>): Buffer {
  return Buffer.from(`gatehouse audit checkpoint 1\n${canonicalJson(unsigned)}`)
}

const FILE = 'audit-checkpoints.jsonl'

/** Keeps the checkpoint outside the database, so that cutting off the end of the database's tables is noticed. */
export function appendToFile(dataDir: string, point: Checkpoint): Promise<void> {
  return appendLine(dataDir, FILE, point)
}

/** All checkpoints in the file, by chain. */
export async function readFromFile(dataDir: string): Promise<Map<string, Checkpoint[]>> {
  return Map.groupBy(await readLines(dataDir, FILE, checkpoint), ({ chain }) => chain)
}
