import { toNodeHandler } from '@modelcontextprotocol/node'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import * as z from 'zod'
import { listen } from '../../test/fakes/listen.ts'
import { forSdk } from '../../test/fakes/serve-mcp.ts'

/** A server as people write them, on the official SDK: what a gateway costs beside real work, not beside an echo of bytes. */
export async function startSdkEcho(): Promise<{ url: string }> {
  const handler = createMcpHandler(
    () => {
      const server = new McpServer({ name: 'sdk-echo', version: '1' })
      const inputSchema = z.object({ text: z.string() })
      server.registerTool('echo', { inputSchema }, ({ text }) => ({ content: [{ type: 'text', text }] }))
      return server
    },
    { legacy: 'reject' },
  )
  const handle = toNodeHandler(handler)
  return await listen((req, res) => void handle(forSdk(req), res))
}
