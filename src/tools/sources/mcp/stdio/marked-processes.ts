import { readdir, readFile } from 'node:fs/promises'
import { platform } from 'node:process'
import { MARKER } from './environment.ts'

/**
 * Kills what a server left behind outside its process group (a browser in a session of its own, a daemon): every process
 * that inherited this marker. Linux only; elsewhere a process does not show its environment.
 */
export async function killMarkedProcesses(marker: string): Promise<void> {
  if (platform !== 'linux') return
  const wanted = `${MARKER}=${marker}`
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry)).map(Number)
  await Promise.all(pids.map((pid) => killIfMarked(pid, wanted)))
}

async function killIfMarked(pid: number, wanted: string): Promise<void> {
  try {
    const environment = await readFile(`/proc/${pid}/environ`, 'latin1')
    if (environment.split('\0').includes(wanted)) process.kill(pid, 'SIGKILL')
  } catch {
    // Not ours to read, or gone meanwhile: either way not ours to kill.
  }
}
