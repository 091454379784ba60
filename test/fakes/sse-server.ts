/**
 * Stands for upstreams that were never moved off the transport of 2024-11-05 (`serve-sse.ts`). Its tools echo, report
 * progress, and ask the client's model and user.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { McpServer } from '@modelcontextprotocol/server'
import * as z from 'zod'
import { createJournal, type Journal } from './observe.ts'
import { serveSse, type SseFake } from './serve-sse.ts'

export type SseServer = SseFake & {
  readonly calls: Journal<{ readonly tool: string; readonly sessionId: string | undefined }>
}

export async function startSseServer(options: { port?: number; protocolVersions?: string[] } = {}): Promise<SseServer> {
  const calls: SseServer['calls'] = createJournal()
  const { port = 0, protocolVersions = ['2024-11-05'] } = options
  const fake = await serveSse({ port, build: () => buildServer(calls, protocolVersions) })
  return { ...fake, calls }
}

function buildServer(calls: SseServer['calls'], supportedProtocolVersions: string[]): McpServer {
  const mcp = new McpServer(
    { name: 'sse-server', version: '1.0.0' },
    { capabilities: { logging: {} }, supportedProtocolVersions },
  )
  const echo = { description: 'Echoes a text.', inputSchema: z.object({ text: z.string() }) }
  mcp.registerTool('echo', echo, ({ text }, ctx) => {
    calls.add({ tool: 'echo', sessionId: ctx.sessionId })
    return answer(text)
  })
  mcp.registerTool('count_down', { description: 'Reports progress three times.' }, async (ctx) => {
    calls.add({ tool: 'count_down', sessionId: ctx.sessionId })
    const progressToken = ctx.mcpReq._meta?.progressToken
    for (const progress of [1, 2, 3]) {
      if (progressToken !== undefined) {
        await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 3 } })
      }
      await delay(10)
    }
    return answer('counted')
  })
  mcp.registerTool('ask_model', { description: 'Asks the model of the client.' }, async (ctx) => {
    calls.add({ tool: 'ask_model', sessionId: ctx.sessionId })
    const question = { role: 'user', content: { type: 'text', text: 'Say yes' } } as const
    const reply = await ctx.mcpReq.requestSampling({ messages: [question], maxTokens: 10 })
    return answer(`model: ${JSON.stringify(reply.content)}`)
  })
  mcp.registerTool('ask_user', { description: 'Asks the user.' }, async (ctx) => {
    calls.add({ tool: 'ask_user', sessionId: ctx.sessionId })
    const requestedSchema = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] } as const
    const { type, properties } = requestedSchema
    const reply = await ctx.mcpReq.elicitInput({ message: 'Who is there?', requestedSchema: { type, properties } })
    return answer(`user: ${reply.action} ${JSON.stringify(reply.content ?? {})}`)
  })
  return mcp
}

function answer(text: string) {
  return { content: [{ type: 'text' as const, text }] }
}
