import { link, mkdir, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { newId, Problem } from '#kernel'
import { BAD_REPLICA_ID } from './problems.ts'

/** The id in the data directory; the first of several processes to get here chooses it. */
export async function readReplicaId(dataDir: string): Promise<string> {
  const file = join(dataDir, 'replica-id')
  const known = await readIfThere(file)
  if (known !== undefined) return checkReplicaId(known, file)
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  await writeOnce(file, `${newId('rep')}\n`)
  return checkReplicaId(await readFile(file, 'utf8'), file)
}

/** Writes beside the file and links it into place, so that nobody ever sees half of it, nor a second one. */
async function writeOnce(file: string, text: string): Promise<void> {
  const draft = `${file}.${newId('tmp')}`
  await using handle = await open(draft, 'wx', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
    await link(draft, file).catch(unlessCode('EEXIST'))
  } finally {
    await rm(draft)
  }
}

function readIfThere(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch(unlessCode('ENOENT'))
}

function unlessCode(code: string): (error: unknown) => undefined {
  return (error) => {
    if (error instanceof Error && 'code' in error && error.code === code) return undefined
    throw error
  }
}

function checkReplicaId(text: string, file: string): string {
  const id = text.trim()
  if (/^rep_[0-9a-f]{32}$/.test(id)) return id
  throw new Problem(BAD_REPLICA_ID, `The file ${file} does not hold a replica id. Remove it, and a new one is made.`)
}
