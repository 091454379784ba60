import { mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type * as z from 'zod'
import { unlessCode } from '#kernel'

/** Adds a JSON line to a file beside the database; resolves when it survives a power cut. */
export async function appendLine(dataDir: string, file: string, value: object): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  await using handle = await open(join(dataDir, file), 'a', 0o600)
  // The line feed before it ends a line that a crash has cut off.
  await handle.appendFile(`\n${JSON.stringify(value)}\n`)
  await handle.datasync()
}

/** All lines of the file that are what they should be. Those a crash has cut off do not count. */
export async function readLines<T>(dataDir: string, file: string, schema: z.ZodType<T>): Promise<T[]> {
  const text = await readFile(join(dataDir, file), 'utf8').catch(unlessCode('ENOENT'))
  return (text?.split('\n') ?? []).flatMap((line) => (line === '' ? [] : parseLine(line, schema)))
}

function parseLine<T>(line: string, schema: z.ZodType<T>): T[] {
  try {
    return [schema.parse(JSON.parse(line))]
  } catch {
    return []
  }
}
