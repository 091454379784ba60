import { readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { isJsonObject } from '#kernel'

/** `DATA/running.json`: how the CLI finds the house that runs with this data directory. */
export type Running = { readonly pid: number; readonly url: string; readonly publicUrl: string }

/** Tells where this house is reached, to the user it runs as. */
export async function writeRunning(dataDir: string, running: Running): Promise<void> {
  await writeFile(join(dataDir, 'running.json'), `${JSON.stringify(running)}\n`, { mode: 0o600 })
}

/** Takes that back. Nothing to take back is fine. */
export async function removeRunning(dataDir: string): Promise<void> {
  await rm(join(dataDir, 'running.json'), { force: true })
}

/** The house that runs with this data directory, or null; a file left by a killed one counts as none. */
export async function readRunning(dataDir: string): Promise<Running | null> {
  const text = await readFile(join(dataDir, 'running.json'), 'utf8').catch(() => '')
  const value = parse(text)
  if (!isJsonObject(value)) return null
  const { pid, url, publicUrl = url } = value
  if (typeof pid !== 'number' || typeof url !== 'string' || typeof publicUrl !== 'string' || !isAlive(pid)) return null
  return (await mayListen(url)) ? { pid, url, publicUrl } : null
}

/** After a crash the process id may be somebody else's by now; where nobody listens, no house runs. */
async function mayListen(url: string): Promise<boolean> {
  if (!URL.canParse(url)) return false
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || 80, timeout: 1_000 })
  try {
    return await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('timeout', () => resolve(true))
      socket.once('error', () => resolve(false))
    })
  } finally {
    socket.destroy()
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    // Also where it is somebody else's: our admin token is not for them.
    return false
  }
}
