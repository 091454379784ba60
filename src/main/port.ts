import { readdir, readFile, readlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import { errorCode, Problem } from '#kernel'
import { PORT_UNUSABLE } from './problems.ts'

type Place = { readonly host: string; readonly port: number }

/** Throws a Problem that says why nothing can listen there, and who does already, where this machine tells. */
export async function requirePort(at: Place): Promise<void> {
  const why = await whyNoPort(at)
  if (why === null) return
  throw new Problem(
    PORT_UNUSABLE,
    `could not listen on ${at.host}:${at.port}: ${why}. Stop what uses it, or choose another with --listen HOST:PORT.`,
  )
}

/** Why nothing can listen there, in words; null when something can. */
export async function whyNoPort(at: Place): Promise<string | null> {
  const error = await tryPort(at)
  if (error === null) return null
  if (errorCode(error) !== 'EADDRINUSE') return error.message
  const holder = await holderOf(at.port)
  return holder === null ? 'another program listens there' : `${holder} listens there`
}

function tryPort({ host, port }: Place): Promise<Error | null> {
  const { promise, resolve } = Promise.withResolvers<Error | null>()
  const probe = createServer()
  probe.once('error', resolve)
  probe.listen(port, host, () => probe.close(() => resolve(null)))
  return promise
}

/** The program that listens on a port, as Linux tells it of one's own processes; elsewhere nobody is known. */
async function holderOf(port: number): Promise<string | null> {
  const sockets = await listeningSockets(port)
  if (sockets.size === 0) return null
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
  for (const pid of pids) {
    if (!(await holdsAny(pid, sockets))) continue
    // The name alone: arguments may hold secrets.
    const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => 'a program')
    return `${name.trim()} (pid ${pid})`
  }
  return null
}

const LISTENING = '0A'

/** `socket:[inode]` of whatever listens on the port, from the kernel's table (proc(5)). */
async function listeningSockets(port: number): Promise<ReadonlySet<string>> {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const tables = ['/proc/net/tcp', '/proc/net/tcp6'].map((file) => readFile(file, 'utf8').catch(() => ''))
  const rows = (await Promise.all(tables)).flatMap((table) => table.split('\n')).map((line) => line.trim().split(/\s+/))
  const found = rows.filter(([, local = '', , state]) => state === LISTENING && local.endsWith(wanted))
  return new Set(found.map((row) => `socket:[${row[9]}]`))
}

async function holdsAny(pid: string, sockets: ReadonlySet<string>): Promise<boolean> {
  const folder = `/proc/${pid}/fd`
  for (const file of await readdir(folder).catch(() => [])) {
    if (sockets.has(await readlink(`${folder}/${file}`).catch(() => ''))) return true
  }
  return false
}
