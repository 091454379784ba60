/**
 * The fastest MCP server we can write, for benchmarks: one tool, `echo`, raw `node:http`, JSON answers, no validation
 * beyond what routing needs. Serves both eras, or only sessions, which exist in name only. Whatever a gateway adds shows
 * against it. `resultBytes` asks for a text of that length instead.
 */
import { listen, type Listening } from './listen.ts'
import type { ServerResponse } from 'node:http'

export type EchoUpstream = Listening & { readonly calls: number }

export async function startEchoUpstream({
  port = 0,
  isLegacyOnly = false,
}: { port?: number; isLegacyOnly?: boolean } = {}): Promise<EchoUpstream> {
  let calls = 0
  const http = await listen(
    (req, res) => {
      if (req.method !== 'POST') return void res.writeHead(405, { allow: 'POST' }).end()
      const chunks: Buffer[] = []
      req.on('data', (chunk: Buffer) => chunks.push(chunk))
      req.on('end', () => {
        const body = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)
        if (body.includes('"tools/call"')) calls += 1
        const isModern = !isLegacyOnly && req.headers['mcp-protocol-version'] === '2026-07-28'
        answer(res, body.toString('utf8'), isModern)
      })
    },
    { port },
  )
  return {
    ...http,
    get calls() {
      return calls
    },
  }
}

type Message = {
  id?: unknown
  method?: unknown
  params?: { arguments?: { text?: unknown; resultBytes?: unknown }; protocolVersion?: unknown }
}

function answer(res: ServerResponse, text: string, isModern: boolean): void {
  let message: Message
  try {
    message = JSON.parse(text)
  } catch {
    return void res.writeHead(400).end()
  }
  if (message.id === undefined) return void res.writeHead(202).end()
  const result = resultOf(message, isModern)
  const id = JSON.stringify(message.id)
  if (result === undefined) {
    const status = isModern ? 404 : 200
    return reply(res, status, `{"jsonrpc":"2.0","id":${id},"error":{"code":-32601,"message":"Method not found"}}`)
  }
  if (message.method === 'initialize') res.setHeader('mcp-session-id', 'echo')
  reply(res, 200, `{"jsonrpc":"2.0","id":${id},"result":${result}}`)
}

function reply(res: ServerResponse, status: number, body: string): void {
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }).end(body)
}

function resultOf(message: Message, isModern: boolean): string | undefined {
  switch (message.method) {
    case 'tools/call': {
      const { text = '', resultBytes } = message.params?.arguments ?? {}
      const content = [{ type: 'text', text: typeof resultBytes === 'number' ? 'x'.repeat(resultBytes) : text }]
      return JSON.stringify(isModern ? { content, resultType: 'complete' } : { content })
    }
    case 'tools/list':
      return isModern ? MODERN_TOOLS : LEGACY_TOOLS
    case 'initialize':
      return isModern ? undefined : initialized(message)
    case 'server/discover':
      return isModern ? DISCOVERED : undefined
    case 'ping':
      return isModern ? undefined : '{}'
    default:
      return undefined
  }
}

function initialized(message: Message): string {
  const protocolVersion = message.params?.protocolVersion ?? '2025-11-25'
  return JSON.stringify({ protocolVersion, capabilities: { tools: {} }, serverInfo: SERVER_INFO })
}

const SERVER_INFO = { name: 'echo-upstream', version: '1.0.0' }
const TOOLS = [
  {
    name: 'echo',
    description: 'Echoes a text.',
    inputSchema: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
    annotations: { readOnlyHint: true },
  },
]
const CACHEABLE = { resultType: 'complete', ttlMs: 60_000, cacheScope: 'public' }
const LEGACY_TOOLS = JSON.stringify({ tools: TOOLS })
const MODERN_TOOLS = JSON.stringify({ tools: TOOLS, ...CACHEABLE })
const DISCOVERED = JSON.stringify({
  supportedVersions: ['2026-07-28'],
  capabilities: { tools: {} },
  ...CACHEABLE,
  _meta: { 'io.modelcontextprotocol/serverInfo': SERVER_INFO },
})
