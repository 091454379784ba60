import {
  Client,
  SSEClientTransport,
  StreamableHTTPClientTransport,
  type ClientOptions,
} from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import * as z from 'zod'
import type { Era } from './serve-mcp.ts'

export type Connected = Client & AsyncDisposable

/** Connects a real SDK client in exactly one era, with the headers given; closed at the end of an `await using`. */
export async function connectClient(
  url: string,
  options: {
    era?: Era
    name?: string
    headers?: Record<string, string>
    capabilities?: ClientOptions['capabilities']
  } = {},
): Promise<Connected> {
  const client = newClient(options)
  const requestInit = { headers: options.headers ?? {} }
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }))
  return disposable(client)
}

/** Connects over the HTTP+SSE transport of 2024-11-05. */
export async function connectSse(
  url: string,
  options: { capabilities?: ClientOptions['capabilities']; prepare?: (client: Client) => void } = {},
): Promise<Connected> {
  const client = newClient({ era: 'legacy', ...options })
  options.prepare?.(client)
  await client.connect(new SSEClientTransport(new URL(url)))
  return disposable(client)
}

/** Starts a program and connects to it over stdio. */
export async function connectStdio([command, ...args]: readonly [string, ...string[]], era: Era = 'legacy') {
  const client = newClient({ era })
  const transport = new StdioClientTransport({ command, args, stderr: 'ignore' })
  await client.connect(transport)
  return Object.assign(disposable(client), { pid: transport.pid ?? 0 })
}

/** The first text of a tool result: what most fakes answer with. */
export async function callText(client: Client, name: string, args: Record<string, unknown> = {}): Promise<string> {
  const result = await client.callTool({ name, arguments: args })
  return z.object({ text: z.string() }).parse(result.content[0]).text
}

function newClient(options: { era?: Era; name?: string; capabilities?: ClientOptions['capabilities'] }): Client {
  const mode = options.era === 'modern' ? ({ pin: '2026-07-28' } as const) : 'legacy'
  return new Client(
    { name: options.name ?? 'test-client', version: '1.0.0' },
    { capabilities: options.capabilities ?? {}, versionNegotiation: { mode } },
  )
}

function disposable(client: Client): Connected {
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.close() })
}
