import { randomBytes } from 'node:crypto'
import process from 'node:process'
import { setTimeout as wait } from 'node:timers/promises'
import { Problem, type Clock } from '#kernel'
import type { Log } from '#telemetry'
import type { StdioServerConfig } from '../../../config.ts'
import { CANCELLED, CIRCUIT_OPEN, OVERLOADED, UNREACHABLE } from '../../../problems.ts'
import { AdminDetail, adminReasonOf } from '../../../servers/reason.ts'
import type { Link, OpenLink } from '../link.ts'
import { BackOff, type Rest } from './back-off.ts'
import { childEnvironment, type Environment } from './environment.ts'
import { createGuard, type Guard } from './guard.ts'
import { ProcessLink, type LinkEnd } from './process-link.ts'
import { ServerProcess, type Patience } from './server-process.ts'

export type RunningProcess = {
  readonly pid: number
  readonly server: string
  readonly key: string
  readonly startedAt: number
}

/** Starts child processes and answers for them until they are gone. One for the whole house. */
export type Supervisor = {
  /**
   * How to open links to this server. Opening rejects with a Problem when the command cannot be started, when
   * `max_processes` run already, and while the server rests after failures (`extra.retryAt` says until when).
   */
  openLink(config: StdioServerConfig): OpenLink
  /** Everything that is not certainly gone, processes that are being stopped included. */
  running(): readonly RunningProcess[]
  /** Stops all processes in good order and starts no more. Never rejects. */
  close(): Promise<void>
}

export type SupervisorDeps = {
  readonly log: Log
  readonly clock: Clock
  /** Our own environment, of which children see a few harmless variables. */
  readonly environment?: Environment
  readonly patience?: Patience
}

const PATIENCE: Patience = { stdinMs: 2_000, termMs: 3_000 }
/** A rest as short as this is waited for; a longer one is told to the caller. */
const MAX_WAIT_MS = 1_000

/** A supervisor of no processes yet. Whoever makes it closes it. */
export function createSupervisor(deps: SupervisorDeps): Supervisor {
  return new ProcessSupervisor(deps)
}

type Entry = RunningProcess & { readonly link: ProcessLink; isStopping: boolean }
type Opening = Parameters<OpenLink>[0]

class ProcessSupervisor implements Supervisor {
  readonly #deps: SupervisorDeps
  readonly #guard: Guard
  /** Our name in the environment of every child; `guard.sh` knows it too. */
  readonly #marker = randomBytes(8).toString('hex')
  readonly #entries = new Set<Entry>()
  readonly #starting = new Map<string, number>()
  readonly #backOff = new BackOff()
  readonly #openings = new Set<Promise<Link>>()
  #starts = 0
  #isClosed = false

  constructor(deps: SupervisorDeps) {
    this.#deps = deps
    this.#guard = createGuard({ log: deps.log, clock: deps.clock, marker: this.#marker })
  }

  openLink(config: StdioServerConfig): OpenLink {
    return (opening) => {
      const opened = this.#open(config, opening).finally(() => this.#openings.delete(opened))
      this.#openings.add(opened)
      return opened
    }
  }

  running(): readonly RunningProcess[] {
    return [...this.#entries].map(({ pid, server, key, startedAt }) => ({ pid, server, key, startedAt }))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const stopped = [...this.#entries].map(({ link }) => link.close())
    await Promise.allSettled([...stopped, ...this.#openings])
    await this.#guard.close()
  }

  async #open(config: StdioServerConfig, opening: Opening): Promise<Link> {
    await this.#rested(config, opening)
    this.#mayStart(config, opening.signal)
    this.#guard.arm()
    this.#count(config.name, 1)
    try {
      const started = await this.#start(config)
      const entry = this.#enter(config, opening, started)
      if (opening.signal.aborted || this.#isClosed) {
        await entry.link.close()
        this.#mayStart(config, opening.signal)
      }
      return entry.link
    } finally {
      this.#count(config.name, -1)
    }
  }

  /** A server that keeps failing is left alone for longer and longer; one caller's crashes rest only that caller's key. */
  async #rested(config: StdioServerConfig, { key, signal }: Opening): Promise<void> {
    const now = this.#deps.clock.now()
    const rest = this.#backOff.restOf(config.name, now) ?? this.#backOff.restOf(nameOf(config, key), now)
    if (rest === undefined) return
    if (rest.retryAt - now > MAX_WAIT_MS) throw resting(config.name, rest)
    await wait(rest.retryAt - now, undefined, { signal }).catch(() => {})
  }

  #mayStart(config: StdioServerConfig, signal: AbortSignal): void {
    const { name, max_processes } = config
    if (this.#isClosed) throw new Problem(UNREACHABLE, `server "${name}" is not started: the gateway is stopping`)
    if (signal.aborted)
      throw new Problem(CANCELLED, `the start of server "${name}" was cancelled`, { cause: signal.reason })
    const alive = [...this.#entries].filter((entry) => entry.server === name && !entry.isStopping).length
    if (alive + (this.#starting.get(name) ?? 0) < max_processes) return
    throw new Problem(
      OVERLOADED,
      `server "${name}" has ${alive} processes already; its max_processes is ${max_processes}`,
    )
  }

  async #start(config: StdioServerConfig): Promise<ServerProcess> {
    const marker = `${this.#marker}.${++this.#starts}`
    const ours = this.#deps.environment ?? process.env
    try {
      return await ServerProcess.start({
        server: config.name,
        command: config.command,
        cwd: config.cwd,
        environment: childEnvironment({ ours, configured: config.env, marker }),
        marker,
        patience: this.#deps.patience ?? PATIENCE,
      })
    } catch (error) {
      this.#fail(config.name, 0, adminReasonOf(error))
      throw error
    }
  }

  #enter(config: StdioServerConfig, { key, events }: Opening, started: ServerProcess): Entry {
    const { clock } = this.#deps
    const { pid } = started
    const log = this.#deps.log.child({ server: config.name, pid, link: key })
    const link = new ProcessLink({
      config,
      process: started,
      events,
      log,
      clock,
      onEnd: (end) => this.#ended(config, entry, end, log),
      onGone: () => this.#gone(entry),
    })
    const entry: Entry = { pid, server: config.name, key, startedAt: clock.now(), link, isStopping: false }
    this.#entries.add(entry)
    this.#guard.watch(pid)
    log.info({ command: config.command[0] }, 'started')
    return entry
  }

  #ended(config: StdioServerConfig, entry: Entry, end: LinkEnd, log: Log): void {
    entry.isStopping = true
    const ranForMs = this.#deps.clock.now() - entry.startedAt
    const wasSilent = !end.spoke && ranForMs >= config.start_timeout_ms
    if (end.asked && !wasSilent) return log.info({}, 'stopped')
    const reason = end.asked ? `it did not answer after its start${end.lastWords}` : end.reason
    this.#fail(end.spoke ? nameOf(config, entry.key) : config.name, ranForMs, reason)
    log.warn({ reason }, 'ended')
  }

  #gone(entry: Entry): void {
    this.#guard.forget(entry.pid)
    this.#entries.delete(entry)
  }

  #fail(name: string, ranForMs: number, reason: string): void {
    this.#backOff.fail(name, { now: this.#deps.clock.now(), ranForMs, reason, random: Math.random() })
  }

  #count(server: string, change: 1 | -1): void {
    const count = (this.#starting.get(server) ?? 0) + change
    if (count > 0) this.#starting.set(server, count)
    else this.#starting.delete(server)
  }
}

function nameOf(config: StdioServerConfig, key: string): string {
  return `${config.name}/${key}`
}

function resting(server: string, rest: Rest): Problem {
  const until = new Date(rest.retryAt).toISOString()
  const shown = `server "${server}" failed ${rest.failures} times in a row and is tried again at ${until}`
  const cause = new AdminDetail(`${shown}; the last time: ${rest.reason}`)
  return new Problem(CIRCUIT_OPEN, shown, { retryAt: rest.retryAt, cause })
}
