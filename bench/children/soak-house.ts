import { readdirSync, readlinkSync } from 'node:fs'
import { writeHeapSnapshot } from 'node:v8'
import { z } from 'zod'
import { readConfig, serve } from '../../src/main/index.ts'
import { createLog } from '../../src/telemetry/index.ts'
import { tokensFor } from '../../test/house/oauth-client.ts'
import { stdioCommand } from '../../test/fakes/stdio-programs.ts'
import { givenAtStart, takeOrders } from '../orders.ts'

/** The house of a soak, alone in its process: servers of both eras over HTTP, and a program. */
const { dataDir, modern, legacy } = z
  .object({ dataDir: z.string(), modern: z.string(), legacy: z.string() })
  .parse(givenAtStart())

const text = `
[server]
listen = "127.0.0.1:0"

[limits]
session_idle_ms = 60000

[[servers]]
name = "modern"
transport = "http"
url = "${modern}"

[[servers]]
name = "legacy"
transport = "http"
url = "${legacy}"
session_idle_ms = 60000

[[servers]]
name = "program"
transport = "stdio"
command = ${JSON.stringify(stdioCommand('counter'))}
idle_stop_ms = 30000

[[servers]]
name = "frail"
transport = "stdio"
command = ${JSON.stringify(stdioCommand('crash', '--after=1'))}
isolation = "shared"
max_processes = 1

[[gateways]]
slug = "soak"
tools = ["modern/*", "legacy/*", "program/*", "frail/*"]
`
const ADMIN = { userId: 'soak', keyId: null, face: 'cli' } as const
const log = createLog({ level: 'warn' })
const house = await serve({ config: readConfig({ text, dataDir, env: process.env }), dataDir, log })

/** What a file descriptor of ours is. */
function openFiles(): { readonly files: number; readonly sockets: number } {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return '' // the folder that was just read
    }
  })
  return { files: links.length, sockets: links.filter((link) => link.startsWith('socket:')).length }
}

takeOrders(
  {
    open: async () => {
      await Promise.all(house.house.servers().map((server) => server.firstListing))
      const { key } = await house.identity.createKey({ userId: null, gateways: ['soak'], role: 'user' }, ADMIN)
      const { id } = await house.identity.accounts.create({ userId: 'soak@example.com' }, ADMIN)
      const who = { ...house, gatehouse: house } as unknown as Parameters<typeof tokensFor>[0] // the parts it uses
      return { url: house.url, key, tokens: await tokensFor(who, { accountId: id, gateway: 'soak' }) }
    },
    /** The whole heap, after a collection of garbage. */
    snapshot: (given) => {
      globalThis.gc?.()
      return writeHeapSnapshot(z.object({ file: z.string() }).parse(given).file)
    },
    sample: async () => {
      globalThis.gc?.()
      const { rss, heapUsed, external } = process.memoryUsage()
      const usage = house.toolsAdmin
        .listServers()
        .map(({ usage: { sessions, processes } }) => ({ sessions, processes }))
      const sum = (of: 'sessions' | 'processes'): number => usage.reduce((all, one) => all + Number(one[of] ?? 0), 0)
      const handles = process.getActiveResourcesInfo().length
      return {
        rss,
        heap: heapUsed + external,
        handles,
        ...openFiles(),
        sessions: sum('sessions'),
        processes: sum('processes'),
      }
    },
  },
  () => house.close(),
)
