import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import * as z from 'zod'

export type HouseProcess = {
  readonly url: string
  readonly pid: number
  readonly adminToken: string
  /** Moves its clock. */
  skip(ms: number): Promise<void>
  /** What it holds after its garbage was collected. */
  weigh(): Promise<{ heapBytes: number; openFiles: number }>
  /** `kill -9`; resolves when it is gone. */
  kill(): Promise<void>
  /** Asks it to stop; resolves when it has. */
  stop(): Promise<void>
}

const started = z.object({ url: z.string(), pid: z.int(), adminToken: z.string() })
const weight = z.object({ heapBytes: z.number(), openFiles: z.number() })

/** Starts a house as a child process and resolves when it listens and has listed its servers. */
export async function startHouseProcess(options: {
  toml: string
  dataDir: string
  storageUrl: string
  /** The address of all replicas together. */
  publicUrl?: string
}): Promise<HouseProcess> {
  const publicUrl = options.publicUrl === undefined ? '' : `public_url = "${options.publicUrl}"\n`
  const toml = `[server]\nlisten = "127.0.0.1:0"\n${publicUrl}[storage]\nurl = "${options.storageUrl}"\n${options.toml}`
  const child = spawn(process.execPath, ['--expose-gc', join(import.meta.dirname, 'house-process.ts')], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      HOUSE_TOML: toml,
      HOUSE_DATA_DIR: options.dataDir,
      // Compiling everything anew costs each process three seconds.
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
    },
  })
  const exited = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })
  const nextLine = async (): Promise<unknown> => {
    const gone = exited.then(() => Promise.reject(new Error('the house ended')))
    const [line] = await Promise.race([once(lines, 'line'), gone])
    return JSON.parse(String(line))
  }
  const order = async (text: string): Promise<z.output<typeof weight>> => {
    const answer = nextLine()
    child.stdin.write(`${text}\n`)
    return weight.parse(await answer)
  }
  const end = async (how: () => void): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) how()
    await exited
  }
  return {
    ...started.parse(await nextLine()),
    skip: async (ms) => void (await order(`skip ${ms}`)),
    weigh: () => order('weigh'),
    kill: () => end(() => child.kill('SIGKILL')),
    stop: () => end(() => child.stdin.end()),
  }
}
