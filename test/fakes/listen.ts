import { createServer, type RequestListener, type Server } from 'node:http'
import { isJsonObject, type JsonObject } from '#kernel'
import type { IncomingMessage, ServerResponse } from 'node:http'

/** A small server of ours on loopback. `close()` cuts open connections, so a hanging fake never holds up a test. */
export type Listening = {
  readonly url: string
  readonly port: number
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Starts a handler on 127.0.0.1, on a free port unless one is named. `url` ends in the path given (default `/mcp`). */
export async function listen(
  handler: RequestListener,
  { port = 0, path = '/mcp' }: { port?: number; path?: string } = {},
): Promise<Listening> {
  const server = createServer({ keepAliveTimeout: 30_000 }, handler)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const bound = boundPort(server)
  const close = () => closeServer(server)
  return { url: `http://127.0.0.1:${bound}${path}`, port: bound, close, [Symbol.asyncDispose]: close }
}

/** A port that nothing listens on, for a program that must be told one. */
export async function freePort(): Promise<number> {
  const held = await listen(() => undefined)
  await held.close()
  return held.port
}

/** Reads a whole request body as text; refuses more than `maxBytes` so that a fake cannot be flooded by mistake. */
export async function readText(req: IncomingMessage, maxBytes = 16 * 1024 * 1024): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of req) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk))
    size += bytes.length
    if (size > maxBytes) throw new Error(`a fake was sent more than ${maxBytes} bytes`)
    chunks.push(bytes)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** The body as a JSON object, or undefined when it is anything else. */
export function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isJsonObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** Answers with a JSON body in one write. */
export function sendJson(
  res: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  const text = JSON.stringify(body)
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text), ...headers })
  res.end(text)
}

function boundPort(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the fake is not listening on a port')
  return address.port
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
