import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Socket } from 'node:net'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import type { Clock } from '#kernel'
import type { Log } from '#telemetry'

/** The process beside the gateway that ends all groups should the gateway die without doing so itself (guard.sh). */
export type Guard = {
  /** Starts the guard if there is none. To be called before a child is started. */
  arm(): void
  watch(pid: number): void
  forget(pid: number): void
  /** Lets the guard go. Resolves when it is gone; never rejects. */
  close(): Promise<void>
}

const PROGRAM = join(import.meta.dirname, 'guard.sh')
const MIN_LIFE_MS = 10_000
const LAST_WAIT_MS = 5_000

/** A guard that starts when it is armed, and again should it die while there is something to watch. */
export function createGuard(deps: { log: Log; clock: Clock; marker: string }): Guard {
  const groups = new Set<number>()
  let running: RunningGuard | undefined
  let closing = false

  const arm = (): void => {
    if (running !== undefined || closing) return
    const startedAt = deps.clock.now()
    const started = startGuard(deps.marker)
    running = started
    for (const pid of groups) started.input.write(`+ ${pid}\n`)
    void started.gone.then((reason) => {
      running = undefined
      if (closing) return
      deps.log.warn({ reason }, 'the guard of the child processes ended; without it a kill -9 leaves them behind')
      if (groups.size > 0 && deps.clock.now() - startedAt > MIN_LIFE_MS) arm()
    })
  }

  return {
    arm,
    watch(pid) {
      groups.add(pid)
      running?.input.write(`+ ${pid}\n`)
    },
    forget(pid) {
      groups.delete(pid)
      running?.input.write(`- ${pid}\n`)
    },
    async close() {
      closing = true
      await running?.letGo()
    },
  }
}

/** `gone` resolves with why. */
type RunningGuard = { readonly input: Writable; readonly gone: Promise<string>; letGo(): Promise<void> }

/** Detached, so that a Ctrl-C at the terminal or a signal to our group does not reach it; holds no event loop open. */
function startGuard(marker: string): RunningGuard {
  const child = spawn('/bin/sh', [PROGRAM, marker], {
    detached: true,
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
  })
  child.unref()
  if (child.stdin instanceof Socket) child.stdin.unref()
  child.stdin.on('error', () => {}) // EPIPE: `gone` says it better
  const gone = once(child, 'exit').then(
    ([code, signal]) => `exit code ${String(code)}, signal ${String(signal)}`,
    (error: unknown) => String(error),
  )
  const letGo = async (): Promise<void> => {
    child.ref() // whoever waits for the end of the guard stays alive until then
    child.stdin.end()
    await Promise.race([gone, wait(LAST_WAIT_MS, undefined, { ref: false })])
  }
  return { input: child.stdin, gone, letGo }
}
