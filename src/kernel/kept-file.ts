import { link, mkdir, open, readFile, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { unlessCode } from './error-code.ts'
import { newId } from './id.ts'

/**
 * The text of a file that is made once and then kept (0600, in a folder of 0700): an id, a token, a key. It is written
 * beside its place and linked into it, so nobody ever reads half of it, and the first of several processes wins.
 */
export async function keepFile(file: string, make: () => string): Promise<string> {
  const known = await readFile(file, 'utf8').catch(unlessCode('ENOENT'))
  if (known !== undefined) return known
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  const draft = `${file}.${newId('tmp')}`
  await using handle = await open(draft, 'wx', 0o600)
  try {
    await handle.writeFile(make())
    await handle.sync()
    await link(draft, file).catch(unlessCode('EEXIST'))
  } finally {
    await rm(draft)
  }
  return readFile(file, 'utf8')
}
