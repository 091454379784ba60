import { createServer } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import type { Log } from '#telemetry'

export type Served = AsyncDisposable & { readonly url: string }

/** Serves an API on a free port, as `main` does: the peer's address in a header that no client can set. */
export async function serveApi(
  api: (request: Request) => Response | Promise<Response>,
  peer?: string,
): Promise<Served> {
  const listener = getRequestListener((request, { incoming }) => {
    const headers = new Headers(request.headers)
    headers.set('gatehouse-peer-address', peer ?? incoming.socket.remoteAddress ?? 'unknown')
    return api(new Request(request, { headers }))
  })
  const server = createServer((req, res) => void listener(req, res))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return { url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: close }
}

/** Keeps what was logged as errors. */
export function errorLog(): Log & { readonly errors: { fields: object; message: string | undefined }[] } {
  const errors: { fields: object; message: string | undefined }[] = []
  const log = {
    errors,
    debug() {},
    info() {},
    warn() {},
    error: (fields: object, message?: string) => void errors.push({ fields, message }),
    child: () => log,
  }
  return log
}
