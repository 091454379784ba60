/** For tests only: a Postgres server of this process alone. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { chownSync, globSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

type Account = { readonly uid?: number; readonly gid?: number }

const START_DEADLINE_MS = 30_000

/**
 * The server ends when our end of its stdin closes, which the kernel does however this process ends: no orphan is
 * left even after `kill -9`. Then its directory goes too.
 */
const SCRIPT = `
"$1/initdb" -D "$2/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$2/log" 2>&1 || exit 1
"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c full_page_writes=off -c max_connections=200 \\
  -c shared_buffers=16MB -c max_wal_size=256MB >>"$2/log" 2>&1 </dev/null &
server=$!
cat >/dev/null
kill -INT $server
wait $server
rm -rf "$2"
`

/** The folder of Debian's newest Postgres, where one is installed. */
export function findPostgresBinaries(): string | undefined {
  const found = globSync('/usr/lib/postgresql/*/bin/initdb').sort((a, b) => versionOf(a) - versionOf(b))
  return found.at(-1)?.replace(/\/initdb$/, '')
}

/** Starts a server on a socket in a new directory, and resolves with its URL when it answers. */
export async function startPostgresCluster(): Promise<string> {
  const binaries = findPostgresBinaries()
  if (binaries === undefined) throw new Error('Postgres is not installed (Debian: apt install postgresql)')
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-pg-'))
  const account = unprivilegedAccount()
  if (account.uid !== undefined && account.gid !== undefined) chownSync(folder, account.uid, account.gid)
  const server = spawn('sh', ['-c', SCRIPT, 'sh', binaries, folder], {
    ...account,
    cwd: folder,
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  letGo(server)
  const url = `postgres://postgres@localhost/postgres?host=${encodeURIComponent(folder)}`
  await waitUntilItAnswers(url, server)
  return url
}

/** Postgres refuses to run as root. */
function unprivilegedAccount(): Account {
  if (process.getuid?.() !== 0) return {}
  const idOf = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  return { uid: idOf('-u'), gid: idOf('-g') }
}

/** The server must not keep this process alive; its stdin closes with it. */
function letGo(server: ChildProcess): void {
  server.unref()
  const { stdin } = server
  if (stdin && 'unref' in stdin && typeof stdin.unref === 'function') stdin.unref()
}

async function waitUntilItAnswers(url: string, server: ChildProcess): Promise<void> {
  const deadline = Date.now() + START_DEADLINE_MS
  while (Date.now() < deadline && server.exitCode === null) {
    const client = new pg.Client({ connectionString: url })
    const answers = await client.connect().then(
      () => true,
      () => false,
    )
    await client.end().catch(() => {})
    if (answers) return
    await sleep(25)
  }
  throw new Error('the Postgres server for the tests did not start')
}

function versionOf(file: string): number {
  return Number(/postgresql\/(\d+)/.exec(file)?.[1] ?? 0)
}
