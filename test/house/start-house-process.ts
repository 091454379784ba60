import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import * as z from 'zod'

export type HouseProcess = {
  readonly url: string
  readonly pid: number
  /** `kill -9`; resolves when it is gone. */
  kill(): Promise<void>
  /** Asks it to stop; resolves when it has. */
  stop(): Promise<void>
}

const started = z.object({ url: z.string(), pid: z.int() })

/** Starts a house as a child process and resolves when it listens and has listed its servers. */
export async function startHouseProcess(options: {
  toml: string
  dataDir: string
  storageUrl: string
  nodeArgs?: readonly string[]
}): Promise<HouseProcess> {
  const toml = `[server]\nlisten = "127.0.0.1:0"\n[storage]\nurl = "${options.storageUrl}"\n${options.toml}`
  const child = spawn(process.execPath, [...(options.nodeArgs ?? []), join(import.meta.dirname, 'house-process.ts')], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'], HOUSE_TOML: toml, HOUSE_DATA_DIR: options.dataDir },
  })
  const exited = once(child, 'exit')
  const end = async (how: () => void): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) how()
    await exited
  }
  const [line] = await Promise.race([
    once(createInterface({ input: child.stdout }), 'line'),
    exited.then(() => Promise.reject(new Error('the house ended before it listened'))),
  ])
  return {
    ...started.parse(JSON.parse(String(line))),
    kill: () => end(() => child.kill('SIGKILL')),
    stop: () => end(() => child.stdin.end()),
  }
}
