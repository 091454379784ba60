/**
 * A whole MCP server in one file: three tools, both generations of the protocol, over HTTP or stdio.
 *   node examples/reference-server/server.ts            → http://127.0.0.1:8701/mcp   (another port: PORT=…)
 *   node examples/reference-server/server.ts --stdio    → JSON-RPC on stdin and stdout
 */
import { createServer } from 'node:http'
import { localhostHostValidation, localhostOriginValidation, toNodeHandler } from '@modelcontextprotocol/node'
import { createMcpHandler, McpServer, type McpRequestContext, type ServerContext } from '@modelcontextprotocol/server'
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import * as z from 'zod'

// The SDK asks for a fresh server per HTTP request or per stdio connection, so this function keeps no state.
function buildServer({ era }: McpRequestContext): McpServer {
  const server = new McpServer({ name: 'reference-server', version: '1.0.0' })
  const readOnly = { readOnlyHint: true, openWorldHint: false }

  server.registerTool(
    'echo',
    {
      description: 'Returns the text that it is given.',
      inputSchema: z.object({ text: z.string() }),
      annotations: readOnly,
    },
    ({ text }) => ({ content: [{ type: 'text', text }] }),
  )

  server.registerTool(
    'add',
    {
      description: 'Adds two numbers.',
      inputSchema: z.object({ a: z.number(), b: z.number() }),
      outputSchema: z.object({ sum: z.number() }),
      annotations: readOnly,
    },
    ({ a, b }) => structured({ sum: a + b }),
  )

  server.registerTool(
    'whoami',
    {
      description: 'Shows what this server was told about who calls it.',
      inputSchema: z.object({}),
      outputSchema: z.object({ era: z.string(), headers: z.record(z.string(), z.string()), meta: z.looseObject({}) }),
      annotations: readOnly,
    },
    (_, context) => structured({ era, headers: identityHeaders(context), meta: metaOf(context) }),
  )
  return server
}

// Programs read `structuredContent`; clients that know only text get the same as text.
function structured<Value extends Record<string, unknown>>(value: Value) {
  return { content: [{ type: 'text' as const, text: JSON.stringify(value) }], structuredContent: value }
}

// A header is what the sender claims. Believe it only where nobody but the gateway can reach this server.
function identityHeaders({ http }: ServerContext): Record<string, string> {
  const told = [...(http?.req?.headers ?? [])].filter(([name]) => /^(gatehouse|arcade|x-forwarded)-/.test(name))
  const authorization = http?.req?.headers.has('authorization') ? [['authorization', '(present, not shown)']] : []
  return Object.fromEntries([...told, ...authorization])
}

// The newest revision tells client and protocol with each request (`envelope`); `_meta` is whatever else was sent along.
function metaOf({ mcpReq }: ServerContext): Record<string, unknown> {
  return { ...mcpReq._meta, ...mcpReq.envelope }
}

if (process.argv.includes('--stdio')) {
  serveStdio(buildServer)
} else {
  const handle = toNodeHandler(createMcpHandler(buildServer))
  // A web page must not reach a server on this machine through the browser (DNS rebinding).
  const checks = [localhostHostValidation(), localhostOriginValidation()]
  const http = createServer((request, response) => {
    const { url = '/', method = 'GET' } = request
    if (url !== '/mcp') return void response.writeHead(404).end()
    if (checks.every((isLocal) => isLocal(request, response)))
      void handle(Object.assign(request, { url, method }), response)
  })
  http.listen(Number(process.env['PORT'] ?? 8701), '127.0.0.1', () => {
    const address = http.address()
    const port = address !== null && typeof address === 'object' ? address.port : address
    console.log(`reference server at http://127.0.0.1:${port}/mcp`)
  })
}
