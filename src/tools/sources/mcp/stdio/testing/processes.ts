import { readdirSync, readFileSync } from 'node:fs'

type Seen = {
  readonly pid: number
  readonly parent: number
  readonly group: number
  readonly state: string
  readonly command: string
}

/** All processes of the machine, as /proc shows them (Linux). */
function seeProcesses(): Seen[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => seeProcess(Number(entry)))
}

function seeProcess(pid: number): Seen[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const [state = '', parent = '', group = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')
    return [{ pid, parent: Number(parent), group: Number(group), state, command }]
  } catch {
    return []
  }
}

/** Children of a process, zombies included. */
export function childrenOf(parent: number): readonly number[] {
  return seeProcesses()
    .filter((seen) => seen.parent === parent)
    .map((seen) => seen.pid)
}

/** True when the process is there and not merely waiting to be reaped. */
export function isAlive(pid: number): boolean {
  return seeProcess(pid).some((seen) => seen.state !== 'Z')
}

/** The guards that know this marker. A guard leads its group; a subshell of it has the same command, but does not. */
export function guardsOf(marker: string): readonly number[] {
  return seeProcesses()
    .filter(({ pid, group, state }) => pid === group && state !== 'Z')
    .filter(({ command }) => command.includes(`guard.sh ${marker}`))
    .map((seen) => seen.pid)
}
