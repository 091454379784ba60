import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { JsonObject } from '#kernel'
import type { Log } from '#telemetry'
import { serverConfig, type StdioServerConfig } from '../../../../config.ts'
import type { Link, LinkResponse, ServerMessage } from '../../link.ts'
import { createSupervisor, type Supervisor, type SupervisorDeps } from '../index.ts'

const PROGRAM = join(import.meta.dirname, 'scripted-server.ts')

/** A stdio server section as the config file would give it, running the scripted server. */
export function scriptedConfig(mode = 'plain', settings: object = {}): StdioServerConfig {
  const command = [process.execPath, PROGRAM, mode]
  const config = serverConfig.parse({ name: 'scripted', transport: 'stdio', command, ...settings })
  if (config.transport !== 'stdio') throw new Error('not a stdio server')
  return config
}

export type LogLine = { readonly level: string; readonly message: string; readonly [field: string]: unknown }

export function collectLog(): Log & { readonly lines: LogLine[] } {
  const lines: LogLine[] = []
  const make = (bound: object): Log => {
    const at = (level: string) => (fields: object, message?: string) =>
      void lines.push({ ...bound, ...fields, level, message: message ?? '' })
    return {
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      child: (fields) => make({ ...bound, ...fields }),
    }
  }
  return { ...make({}), lines }
}

export type Stage = {
  readonly supervisor: Supervisor
  readonly log: ReturnType<typeof collectLog>
  readonly clock: { now(): number; ms: number }
  readonly messages: ServerMessage[]
  open(config?: StdioServerConfig, key?: string): Promise<Link>
  [Symbol.asyncDispose](): Promise<void>
}

/** A supervisor with a clock to move and a log to read; closing it ends every process. */
export function createStage(deps: Partial<SupervisorDeps> = {}): Stage {
  const log = collectLog()
  const clock = { ms: 1_000_000, now: () => clock.ms }
  const supervisor = createSupervisor({ log, clock, ...deps })
  const messages: ServerMessage[] = []
  const events = { message: (message: ServerMessage) => void messages.push(message) }
  return {
    supervisor,
    log,
    clock,
    messages,
    open: (config = scriptedConfig(), key = 'k') =>
      supervisor.openLink(config)({ key, signal: new AbortController().signal, events }),
    [Symbol.asyncDispose]: () => supervisor.close(),
  }
}

export function callTool(
  link: Link,
  name: string,
  given: JsonObject = {},
  signal?: AbortSignal,
): Promise<LinkResponse> {
  const params = { name, arguments: given }
  return link.request({ method: 'tools/call', params, signal: signal ?? new AbortController().signal })
}

export async function valueOf(answer: Promise<LinkResponse>): Promise<JsonObject> {
  const response = await answer
  if ('error' in response) throw new Error(response.error.message)
  return response.result.value()
}

/** Waits until a fact about the machine is true; the machine has no event for it. */
export async function eventually(fact: () => boolean, withinMs = 8_000): Promise<void> {
  for (let waited = 0; !fact(); waited += 20) {
    if (waited > withinMs) throw new Error(`still not so after ${withinMs} ms: ${String(fact)}`)
    await wait(20)
  }
}
