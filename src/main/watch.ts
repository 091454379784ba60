import { statSync, unwatchFile, watchFile, type Stats } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import type { Log } from '#telemetry'
import { isProblem } from '#kernel'
import type { GatehouseConfig } from './config.ts'
import type { Gatehouse } from './open.ts'

/**
 * Follows the configuration file: a change of servers, gateways or rules is taken over while the house runs, a mistake is
 * logged with its line and the old configuration stays in force. SIGHUP does the same at once. The returned function
 * ends it. The file is asked for its time (once a second) instead of watched, because editors and mounts replace it;
 * it counts as changed when it has rested for a moment, so that nobody's half-written file is taken for a whole one.
 */
export function followConfig(deps: {
  gatehouse: Pick<Gatehouse, 'reload' | 'config'>
  log: Log
  file: string
  read: () => GatehouseConfig
}): () => void {
  const { gatehouse, log, file, read } = deps
  const takeOver = async (): Promise<void> => {
    try {
      const next = read()
      await gatehouse.reload(next)
      log.info({ file }, 'the configuration was read again, and what may change while the house runs is as it says')
      const sections = waitingSections(gatehouse.config, next)
      if (sections.length > 0)
        log.warn({ file, sections }, 'these sections changed too; they count from the next start')
    } catch (error) {
      const why = isProblem(error) ? { problem: error.message } : { err: error }
      log.error({ file, ...why }, 'the changed configuration was not taken over; the old one stays')
    }
  }
  let resting: NodeJS.Timeout | undefined
  const whenRested = (seen: Stats): void => {
    clearTimeout(resting)
    resting = setTimeout(() => {
      const now = statSync(file, { throwIfNoEntry: false })
      if (now === undefined || now.size === 0) return // being replaced; its next time is seen as well
      if (now.mtimeMs === seen.mtimeMs && now.size === seen.size) void takeOver()
      else whenRested(now)
    }, REST_MS)
    resting.unref()
  }
  const atOnce = (): void => void takeOver()
  watchFile(file, { interval: 1_000, persistent: false }, whenRested)
  process.on('SIGHUP', atOnce)
  return () => {
    clearTimeout(resting)
    unwatchFile(file, whenRested)
    process.off('SIGHUP', atOnce)
  }
}

/** Of what changed, what `reload` does not take over. */
function waitingSections(now: GatehouseConfig, next: GatehouseConfig): string[] {
  const before: Readonly<Record<string, unknown>> = now
  return Object.entries(next).flatMap(([section, value]) =>
    TAKEN_OVER.has(section) || isDeepStrictEqual(before[section], value) ? [] : [section],
  )
}

const TAKEN_OVER: ReadonlySet<string> = new Set([
  'servers',
  'gateways',
  'login_policy',
  'content_rules',
  'approvals',
  'hooks',
  'identity_sources',
  'policy',
])

const REST_MS = 300
