import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { readRunning, writeRunning } from './running.ts'

async function emptyDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'gatehouse-running-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

async function listenSomewhere() {
  const server = createServer((socket) => socket.destroy())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { url: `http://127.0.0.1:${port}`, close: () => new Promise((resolve) => server.close(resolve)) }
}

test('a house that lives and listens is found', async () => {
  const dir = await emptyDir()
  const somewhere = await listenSomewhere()
  await writeRunning(dir, { pid: process.pid, url: somewhere.url, publicUrl: 'https://tools.example' })

  const running = await readRunning(dir)
  await somewhere.close()

  expect(running).toEqual({ pid: process.pid, url: somewhere.url, publicUrl: 'https://tools.example' })
})

// Root may signal everybody, so for root there is nobody else.
test.skipIf(process.getuid?.() === 0)('a process of somebody else is not our house', async () => {
  const dir = await emptyDir()
  const somewhere = await listenSomewhere()
  onTestFinished(() => somewhere.close().then(() => undefined))
  await writeRunning(dir, { pid: 1, url: somewhere.url, publicUrl: 'https://tools.example' })

  expect(await readRunning(dir)).toBeNull()
})

test('the file of a killed house counts as none, even when its process id is taken by another', async () => {
  const dir = await emptyDir()
  const somewhere = await listenSomewhere()
  await somewhere.close()
  await writeRunning(dir, { pid: process.pid, url: somewhere.url, publicUrl: 'https://tools.example' })

  expect(await readRunning(dir)).toBeNull()
})
