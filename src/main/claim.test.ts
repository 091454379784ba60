import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { claimDataDir } from './claim.ts'

async function emptyDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'gatehouse-claim-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

/** Another process that claims the directory and then waits. */
async function claimElsewhere(dir: string) {
  const program = `
    import { claimDataDir } from ${JSON.stringify(join(import.meta.dirname, 'claim.ts'))}
    const claim = await claimDataDir(${JSON.stringify(dir)}, 0)
    console.log(claim === null ? 'held' : 'claimed')
    setInterval(() => {}, 1_000)
  `
  const child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', program])
  onTestFinished(() => void child.kill('SIGKILL'))
  const [said] = await once(child.stdout, 'data')
  return { child, said: String(said).trim() }
}

test('a data directory belongs to one process at a time', async () => {
  const dir = await emptyDir()
  const other = await claimElsewhere(dir)

  expect(other.said).toBe('claimed')
  expect(await claimDataDir(dir, 0)).toBeNull()
  expect((await claimElsewhere(dir)).said).toBe('held')
})

test('one that is killed leaves nothing behind that would have to be cleared away', async () => {
  const dir = await emptyDir()
  const { child } = await claimElsewhere(dir)
  const next = claimDataDir(dir, 10_000)

  child.kill('SIGKILL')

  expect(await next).not.toBeNull()
})

test('it can be claimed again in this process once it was given back', async () => {
  const dir = await emptyDir()
  const first = await claimDataDir(dir, 0)

  expect(await claimDataDir(dir, 0)).toBeNull()
  first?.[Symbol.dispose]()
  first?.[Symbol.dispose]()

  expect(await claimDataDir(dir, 0)).not.toBeNull()
})
