import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as pause } from 'node:timers/promises'

/** One house a data directory. Disposing gives it back; so does the end of the process, however it ends. */
export type Claim = Disposable

const LOOK_AGAIN_MS = 50

/**
 * Claims a data directory for this process, or resolves with null when another house holds it for all of `patienceMs`.
 * A file of SQLite's serves as the lock: the system lets it go when its process ends, even by `kill -9`, which no file
 * that only names a process can promise.
 */
export async function claimDataDir(dataDir: string, patienceMs: number): Promise<Claim | null> {
  const until = performance.now() + patienceMs
  for (;;) {
    const claim = tryToClaim(join(dataDir, 'serving.lock'))
    if (claim !== null || performance.now() >= until) return claim
    await pause(LOOK_AGAIN_MS)
  }
}

function tryToClaim(file: string): Claim | null {
  const lock = new DatabaseSync(file)
  try {
    lock.exec('pragma journal_mode = memory; begin exclusive')
    chmodSync(file, 0o600)
    return { [Symbol.dispose]: () => void (lock.isOpen && lock.close()) }
  } catch (error) {
    lock.close()
    if (isBusy(error)) return null
    throw new Error(`could not lock ${file}`, { cause: error })
  }
}

const SQLITE_BUSY = 5

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY
}
