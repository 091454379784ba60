import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { median, round } from '../numbers.ts'

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts')
const running = z.object({ pid: z.number(), url: z.string() })
const GIVE_UP_MS = 30_000

/** Time from the start of `up`, with data that are already there, until `/readyz` says yes. The first start is not counted. */
export async function measureStartUp(times: number): Promise<{ readyMs: number }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-bench-start-'))
  try {
    await startOnce(dataDir)
    const taken: number[] = []
    for (let done = 0; done < times; done += 1) taken.push(await startOnce(dataDir))
    return { readyMs: round(median(taken), 0) }
  } finally {
    await rm(dataDir, { recursive: true, force: true })
  }
}

async function startOnce(dataDir: string): Promise<number> {
  const started = performance.now()
  const child = spawn(process.execPath, [MAIN, 'up', '--data', dataDir, '--listen', '127.0.0.1:0'], {
    cwd: dataDir,
    // As ./gatehouse starts it.
    env: { ...process.env, NODE_COMPILE_CACHE: join(dataDir, 'compile-cache') },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const said: string[] = []
  child.stderr.on('data', (chunk) => said.push(String(chunk)))
  const gone = once(child, 'exit')
  try {
    for (;;) {
      if (child.exitCode !== null || performance.now() - started > GIVE_UP_MS) {
        throw new Error(`"up" was not ready: ${said.join('').slice(0, 500)}`)
      }
      if (await isReady(dataDir, child.pid)) return performance.now() - started
      await delay(5)
    }
  } finally {
    child.kill()
    await gone
  }
}

async function isReady(dataDir: string, pid: number | undefined): Promise<boolean> {
  const text = await readFile(join(dataDir, 'running.json'), 'utf8').catch(() => '')
  if (text === '') return false
  const house = running.parse(JSON.parse(text))
  if (house.pid !== pid) return false
  const answer = await fetch(new URL('/readyz', house.url)).catch(() => null)
  return answer?.ok === true
}
