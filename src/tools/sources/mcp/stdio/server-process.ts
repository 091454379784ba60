import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { errorCode, Problem } from '#kernel'
import { UNREACHABLE } from '../../../problems.ts'
import { AdminDetail } from '../../../servers/reason.ts'
import type { Environment } from './environment.ts'
import { killMarkedProcesses } from './marked-processes.ts'

export type Start = {
  readonly server: string
  readonly command: readonly string[]
  readonly cwd: string | undefined
  readonly environment: Environment
  readonly marker: string
  readonly patience: Patience
}

/** How long a process is asked before it is forced: after its stdin is closed, and after SIGTERM. */
export type Patience = { readonly stdinMs: number; readonly termMs: number }

/** What a dying process may still have to say while its pipes are held open by its children. */
const LAST_OUTPUT_MS = 500
const POLL_MS = 25

/** One child and everything it starts: a process group, three pipes and an end. */
export class ServerProcess {
  readonly pid: number
  /** Resolves with how it ended, in words, after its last output was read. */
  readonly exited: Promise<string>
  readonly #child: Child
  readonly #start: Start
  #stopping: Promise<void> | undefined

  private constructor(child: Child, pid: number, start: Start) {
    this.#child = child
    this.#start = start
    this.pid = pid
    this.exited = exitOf(child)
  }

  /** Starts the command, never through a shell. Rejects with a Problem that says why it could not be started. */
  static async start(start: Start): Promise<ServerProcess> {
    try {
      const child = spawnChild(start)
      await once(child, 'spawn')
      if (child.pid === undefined) throw new Error('no process id')
      return new ServerProcess(child, child.pid, start)
    } catch (error) {
      const cause = new AdminDetail(whyNotStarted(start, error), { cause: error })
      throw new Problem(UNREACHABLE, `server "${start.server}": its program could not be started`, { cause })
    }
  }

  get stdin(): Writable {
    return this.#child.stdin
  }
  get stdout(): Readable {
    return this.#child.stdout
  }
  get stderr(): Readable {
    return this.#child.stderr
  }

  /**
   * The MCP shutdown: close stdin, wait, SIGTERM to the group, wait, SIGKILL to the group, then the descendants that
   * left the group. Resolves when all are gone; never rejects.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    const { stdinMs, termMs } = this.#start.patience
    this.#child.stdin.end()
    await Promise.race([this.exited, waitQuietly(stdinMs)])
    this.#signal('SIGTERM')
    await this.#groupGone(termMs)
    this.#signal('SIGKILL')
    await killMarkedProcesses(this.#start.marker).catch(() => {})
    await Promise.race([this.exited, waitQuietly(termMs)])
    for (const stream of [this.stdin, this.stdout, this.stderr]) stream.destroy()
  }

  async #groupGone(withinMs: number): Promise<void> {
    for (let waited = 0; waited < withinMs && this.#signal(0); waited += POLL_MS) await wait(POLL_MS)
  }

  /** To the whole group; false when nobody is left in it. An id is not given away while its group has members. */
  #signal(signal: NodeJS.Signals | 0): boolean {
    try {
      return process.kill(-this.pid, signal)
    } catch {
      return false
    }
  }
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>

function spawnChild(start: Start): Child {
  const [file = '', ...args] = start.command
  const options = { env: { ...start.environment }, detached: true, ...(start.cwd !== undefined && { cwd: start.cwd }) }
  const child = spawn(file, args, { ...options, stdio: ['pipe', 'pipe', 'pipe'] })
  child.on('error', () => {}) // the first is seen by once(); later ones tell of signals that found nobody
  child.stdin.on('error', () => {}) // EPIPE: the exit says it better
  return child
}

async function exitOf(child: Child): Promise<string> {
  const closed = new Promise<void>((resolve) => void child.once('close', () => resolve()))
  const how = await new Promise<string>((resolve) => {
    child.once('exit', (code, signal) =>
      resolve(signal === null ? `exited with code ${code}` : `was ended by ${signal}`),
    )
  })
  await Promise.race([closed, waitQuietly(LAST_OUTPUT_MS)])
  return how
}

function waitQuietly(ms: number): Promise<void> {
  return wait(ms, undefined, { ref: false })
}

function whyNotStarted({ server, command, cwd }: Start, error: unknown): string {
  const name = JSON.stringify(command[0])
  if (cwd !== undefined && !existsSync(cwd)) return `server "${server}": its cwd ${JSON.stringify(cwd)} does not exist`
  const code = errorCode(error) ?? String(error)
  switch (code) {
    case 'ENOENT':
      return `server "${server}": there is no command ${name}; install it, or write its absolute path`
    case 'EACCES':
      return `server "${server}": the command ${name} may not be executed; check its permissions`
    default:
      return `server "${server}": the command ${name} could not be started (${code})`
  }
}
