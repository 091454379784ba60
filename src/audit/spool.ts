import { mkdir, open, readdir, readFile, rename, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { newId, unlessCode } from '#kernel'
import { auditRecord } from './schema.ts'
import type { PayloadRow } from './payload.ts'
import type { Sealed } from './seal.ts'
import type { RecordRow } from './tables.ts'

const SPOOL = 'audit-spool.jsonl'
const CLAIMED = /^audit-spool\.[0-9a-z_]+\.claimed\.jsonl$/

/** A record as it waits, with its payload, sealed as it will be stored. */
export type Spooled = { readonly row: RecordRow; readonly payload: PayloadRow | undefined }

const base64 = z.base64().transform((text) => Buffer.from(text, 'base64'))
const line = z.object({
  record: z.string(),
  hash: z.string(),
  payload: z.object({ bytes: z.int(), sealed_key: base64, sealed: base64 }).optional(),
})

/**
 * Records on disk that wait for the store. Whoever reads the file first renames it (*claims* it), so that one process
 * may empty it while another still writes: a writer whose file was claimed in mid-write writes again. Twice is safe,
 * because a record has one place in one chain.
 */
export class Spool {
  readonly #dataDir: string
  readonly #maxBytes: number

  constructor(dataDir: string, maxBytes: number) {
    this.#dataDir = dataDir
    this.#maxBytes = maxBytes
  }

  /** Resolves when the records survive a power cut. Rejects when they may not; some of them may then be there. */
  async append(records: readonly Sealed[]): Promise<void> {
    const text = records.map(toLine).join('\n')
    await mkdir(this.#dataDir, { recursive: true, mode: 0o700 })
    let isKept = false
    // The line feed before it ends a line that a crash has cut off.
    while (!isKept) isKept = await this.#write(`\n${text}\n`)
  }

  async sizeBytes(): Promise<number> {
    return (await this.#inode(SPOOL)).size
  }

  /** Hands over everything there is, oldest first, and forgets it once `store` has resolved. Returns how many. */
  async drain(store: (spooled: readonly Spooled[]) => Promise<void>): Promise<number> {
    // What an earlier try has left comes first; while it cannot be stored, nothing more is claimed.
    const left = await this.#drainClaimed(store)
    await this.#claim()
    return left + (await this.#drainClaimed(store))
  }

  async #drainClaimed(store: (spooled: readonly Spooled[]) => Promise<void>): Promise<number> {
    let count = 0
    for (const name of (await this.#names()).filter((name) => CLAIMED.test(name)).sort()) {
      const file = join(this.#dataDir, name)
      // Gone: another process that starts now has stored it.
      const rows = parseSpool((await readFile(file, 'utf8').catch(unlessMissing)) ?? '')
      for (let index = 0; index < rows.length; index += 500) await store(rows.slice(index, index + 500))
      await unlink(file).catch(unlessMissing)
      count += rows.length
    }
    return count
  }

  async #write(text: string): Promise<boolean> {
    await using handle = await open(join(this.#dataDir, SPOOL), 'a', 0o600)
    const { size, ino } = await handle.stat()
    if (size > this.#maxBytes) throw new Error(`the audit spool has reached its limit of ${this.#maxBytes} bytes`)
    await handle.appendFile(text)
    await handle.datasync()
    if (size === 0) await this.#syncDirectory()
    return (await this.#inode(SPOOL)).ino === ino
  }

  /** A new file is only safe when its directory is on disk too. */
  async #syncDirectory(): Promise<void> {
    await using directory = await open(this.#dataDir, 'r')
    await directory.sync()
  }

  async #claim(): Promise<void> {
    const claimed = `audit-spool.${newId('spl')}.claimed.jsonl`
    await rename(join(this.#dataDir, SPOOL), join(this.#dataDir, claimed)).catch(unlessMissing)
  }

  async #names(): Promise<string[]> {
    return (await readdir(this.#dataDir).catch(unlessMissing)) ?? []
  }

  async #inode(name: string): Promise<{ ino: number; size: number }> {
    return (await stat(join(this.#dataDir, name)).catch(unlessMissing)) ?? { ino: -1, size: 0 }
  }
}

function toLine({ record, head, payload }: Sealed): string {
  if (!payload) return JSON.stringify({ hash: head.hash, record })
  const { bytes, sealed_key, sealed } = payload
  const base64 = { sealed_key: toBase64(sealed_key), sealed: toBase64(sealed) }
  return JSON.stringify({ hash: head.hash, record, payload: { bytes, ...base64 } })
}

const toBase64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')

/** Reads the lines as rows. A line that a crash has cut off was never acknowledged, and is left out. */
function parseSpool(text: string): Spooled[] {
  return text.split('\n').flatMap((part) => {
    const spooled = part === '' ? undefined : parseLine(part)
    return spooled ? [spooled] : []
  })
}

function parseLine(text: string): Spooled | undefined {
  try {
    const { record, hash, payload } = line.parse(JSON.parse(text))
    const row = toRow(record, hash)
    const { chain, seq, at } = row
    return { row, payload: payload && { chain, seq, at, ...payload } }
  } catch {
    return undefined
  }
}

function toRow(text: string, hash: string): RecordRow {
  const record = auditRecord.parse(JSON.parse(text))
  return {
    chain: record.chain,
    seq: record.seq,
    at: record.at,
    what: record.what,
    decision: record.decision,
    user_id: record.userId ?? null,
    gateway: record.gateway ?? null,
    server: record.server ?? null,
    tool: record.tool ?? null,
    trace_id: record.traceId ?? null,
    record: text,
    hash,
  }
}

const unlessMissing = unlessCode('ENOENT')
