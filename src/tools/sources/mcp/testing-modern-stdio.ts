/** A program for tests: an MCP server on stdio that speaks only the stateless era. */
import { McpServer } from '@modelcontextprotocol/server'
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import * as z from 'zod'

serveStdio(
  () => {
    const mcp = new McpServer({ name: 'modern-stdio', version: '1' }, { capabilities: { logging: {} } })
    mcp.registerTool('pid', { inputSchema: z.object({}) }, async (_args, ctx) => {
      const token = ctx.mcpReq._meta?.progressToken
      if (token !== undefined) {
        await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken: token, progress: 1 } })
      }
      return { content: [{ type: 'text', text: String(process.pid) }] }
    })
    return mcp
  },
  { legacy: 'reject' },
)
