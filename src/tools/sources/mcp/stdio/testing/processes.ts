import { readdirSync, readFileSync } from 'node:fs'

type Seen = { readonly pid: number; readonly parent: number; readonly state: string; readonly command: string }

/** All processes of the machine, as /proc shows them (Linux). */
function seeProcesses(): Seen[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => seeProcess(Number(entry)))
}

function seeProcess(pid: number): Seen[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const [state = '', parent = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')
    return [{ pid, parent: Number(parent), state, command }]
  } catch {
    return []
  }
}

/** Zombies among the children of this process. */
export function zombies(): readonly number[] {
  return seeProcesses()
    .filter((seen) => seen.parent === process.pid && seen.state === 'Z')
    .map((seen) => seen.pid)
}

/** True when the process is there and not merely waiting to be reaped. */
export function isAlive(pid: number): boolean {
  return seeProcess(pid).some((seen) => seen.state !== 'Z')
}

export function openFileCount(): number {
  return readdirSync('/proc/self/fd').length
}
