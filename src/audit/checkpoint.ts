import { sign, verify } from 'node:crypto'
import { mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { canonicalJson, unlessCode } from '#kernel'
import type { Head } from './seal.ts'
import type { PublicKey, SigningKey } from './signing-key.ts'

/** A signed statement that a chain had this hash at this place. `isLast`: and that nothing comes after it. */
const checkpoint = z.object({
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

const fileIn = (dataDir: string) => join(dataDir, 'audit-checkpoints.jsonl')

/** Keeps the checkpoint outside the database, so that cutting off the end of the database's tables is noticed. */
export async function appendToFile(dataDir: string, point: Checkpoint): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  await using handle = await open(fileIn(dataDir), 'a', 0o600)
  // The line feed before it ends a line that a crash has cut off.
  await handle.appendFile(`\n${JSON.stringify(point)}\n`)
  await handle.datasync()
}

/** All checkpoints in the file, by chain. Lines a crash has cut off do not count. */
export async function readFromFile(dataDir: string): Promise<Map<string, Checkpoint[]>> {
  const byChain = new Map<string, Checkpoint[]>()
  for (const line of (await readLines(fileIn(dataDir))).filter((text) => text !== '')) {
    const point = parseLine(line)
    if (!point) continue
    const points = byChain.get(point.chain) ?? []
    points.push(point)
    byChain.set(point.chain, points)
  }
  return byChain
}

async function readLines(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch(unlessCode('ENOENT'))
  return text?.split('\n') ?? []
}

function parseLine(line: string): Checkpoint | undefined {
  try {
    return checkpoint.parse(JSON.parse(line))
  } catch {
    return undefined
  }
}
