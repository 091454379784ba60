import { join } from 'node:path'
import { keepFile, newId, Problem } from '#kernel'
import { BAD_REPLICA_ID } from './problems.ts'

/** The id in the data directory; the first of several processes to get here chooses it. */
export async function readReplicaId(dataDir: string): Promise<string> {
  const file = join(dataDir, 'replica-id')
  return checkReplicaId(await keepFile(file, () => `${newId('rep')}\n`), file)
}

function checkReplicaId(text: string, file: string): string {
  const id = text.trim()
  if (/^rep_[0-9a-f]{32}$/.test(id)) return id
  throw new Problem(BAD_REPLICA_ID, `The file ${file} does not hold a replica id. Remove it, and a new one is made.`)
}
