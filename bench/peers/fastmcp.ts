import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findPeer, freePort, startPeer, type Peer } from './process.ts'

const PROGRAM = `
import sys
from fastmcp.server import create_proxy
create_proxy(sys.argv[1], name="proxy").run(transport="http", host="127.0.0.1", port=int(sys.argv[2]), show_banner=False)
`

/** FastMCP's proxy (PyPI `fastmcp`): passes calls on and does nothing else; no keys, no policy, no trail. */
export async function startFastMcp(upstream: string): Promise<Peer | null> {
  const python = findPeer('fastmcp', 'python')
  if (python === null) return null
  const cwd = await mkdtemp(join(tmpdir(), 'gatehouse-peer-'))
  await writeFile(join(cwd, 'proxy.py'), PROGRAM)
  const port = await freePort()
  const url = `http://127.0.0.1:${port}/mcp`
  const peer = await startPeer([python, 'proxy.py', upstream, String(port)], { url, cwd })
  return {
    name: 'FastMCP proxy',
    target: { url, era: 'legacy' },
    hasSessions: true,
    cpuMicros: peer.cpuMicros,
    stop: async () => {
      await peer.stop()
      await rm(cwd, { recursive: true, force: true })
    },
  }
}
