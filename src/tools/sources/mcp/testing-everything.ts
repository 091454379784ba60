import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'

export type EverythingServer = { readonly url: string; readonly port: number; [Symbol.asyncDispose](): Promise<void> }

const SCRIPT = fileURLToPath(import.meta.resolve('@modelcontextprotocol/server-everything/dist/index.js'))

/** The published reference server over streamable HTTP or HTTP+SSE, as its own process. */
export async function startEverything(transport: 'streamableHttp' | 'sse', port?: number): Promise<EverythingServer> {
  const chosen = port ?? (await freePort())
  const child = spawn(process.execPath, [SCRIPT, transport], {
    env: { ...process.env, PORT: String(chosen) },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  await new Promise<void>((resolve, reject) => {
    let said = ''
    child.once('exit', () => reject(new Error(`the server did not start: ${said}`)))
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString('utf8')
      if (/listening|running on port/i.test(said)) resolve()
    })
  })
  const path = transport === 'sse' ? '/sse' : '/mcp'
  return {
    url: `http://127.0.0.1:${chosen}${path}`,
    port: chosen,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        child.once('exit', () => resolve())
        child.kill('SIGKILL')
      }),
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        address === null || typeof address === 'string' ? reject(new Error('no port')) : resolve(address.port),
      )
    })
  })
}
