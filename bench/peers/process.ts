import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Target } from '../load/target.ts'

/** Another gateway, running. */
export type Peer = {
  readonly name: string
  readonly target: Target
  readonly hasSessions: boolean
  /** CPU that its process has spent. */
  readonly cpuMicros: () => Promise<number>
  stop(): Promise<void>
}

const INSTALLED = join(import.meta.dirname, '../out/peers')

/** Where a program of a peer is installed; null, with a word, where it is not. */
export function findPeer(peer: string, program: string): string | null {
  const path = join(INSTALLED, peer, 'bin', program)
  if (existsSync(path) && existsSync('/proc/self/stat')) return path
  console.log(`${peer} is left out: it is not installed at ${path}`)
  return null
}

/** Starts it and waits until its address answers. */
export async function startPeer(
  command: readonly [string, ...string[]],
  at: { url: string; env?: Readonly<Record<string, string>>; cwd: string },
): Promise<Pick<Peer, 'cpuMicros' | 'stop'>> {
  const [program, ...words] = command
  const env = { PATH: process.env['PATH'], HOME: at.cwd, ...at.env }
  const child = spawn(program, words, { stdio: 'ignore', env, cwd: at.cwd })
  const { pid } = child
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
  try {
    await untilAnswered(at.url)
    return { cpuMicros: () => cpuOf(pid ?? 0), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

const START_MS = 60_000
const TICKS_PER_SECOND = 100

async function untilAnswered(url: string): Promise<void> {
  const until = performance.now() + START_MS
  while (
    !(await fetch(url).then(
      () => true,
      () => false,
    ))
  ) {
    if (performance.now() > until) throw new Error(`nothing answers at ${url}`)
    await pause(200)
  }
}

/** proc_pid_stat(5): fields 14 and 15 are the ticks in user and system mode. */
async function cpuOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1_000_000) / TICKS_PER_SECOND
}

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}
