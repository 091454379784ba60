/**
 * Stands for servers that tell too much: one secret in every part of every answer that there is. `PLACES` counts them,
 * so that a test knows how many it looks for. The answers to its own questions are kept as it got them.
 */
import {
  acceptedContent,
  inputRequired,
  inputResponse,
  McpServer,
  ProtocolError,
  ResourceTemplate,
} from '@modelcontextprotocol/server'
import * as z from 'zod'
import { createJournal, type Journal } from './observe.ts'
import { serveMcp, type Eras, type McpFake } from './serve-mcp.ts'

export type LeakyServer = McpFake & {
  /** What came in: arguments, answers and addresses. */
  readonly received: Journal<unknown>
}

/** With letters and digits that no other part of an answer has. */
export const SECRET = 'AKIACANARYCANARY2345'
const DISGUISED = SECRET.split('').join('\u200b')

/** In the order of the tools below. */
export const PLACES = 29

export async function startLeakyServer(options: { eras?: Eras } = {}): Promise<LeakyServer> {
  const received = createJournal<unknown>()
  const fake = await serveMcp({ ...options, build: () => build(received) })
  return { ...fake, received }
}

const outputSchema = z.strictObject({
  key: z.string(),
  keys: z.array(z.string().min(20).max(20)),
  pattern: z.string().regex(/^AKIA[A-Z0-9]{16}$|^X{16}0{4}$/),
  url: z.url(),
  // Nothing that is redacted fits this, so it has to go.
  optional: z
    .string()
    .regex(/^AKIA[A-Z2-7]{16}$/)
    .optional(),
  byKey: z.record(z.string(), z.number()),
})

const STRUCTURED = {
  key: `the key is ${SECRET}`,
  keys: [SECRET, SECRET],
  pattern: SECRET,
  url: `https://a.example/?key=${SECRET}`,
  optional: SECRET,
  byKey: { [SECRET]: 1 },
} as const

function build(received: Journal<unknown>): McpServer {
  const mcp = new McpServer({ name: 'leaky', version: '1.0.0' }, { capabilities: { logging: {}, completions: {} } })
  mcp.registerTool('tell', { outputSchema }, async (ctx) => {
    const progressToken = ctx.mcpReq._meta?.progressToken
    if (progressToken !== undefined) {
      const params = { progressToken, progress: 1, message: `found ${SECRET}` }
      await ctx.mcpReq.notify({ method: 'notifications/progress', params })
    }
    await ctx.mcpReq.log('error', `found ${SECRET}`)
    await ctx.mcpReq.log('error', { deep: [{ found: SECRET }] }, `logger-${SECRET}`)
    return {
      content: contentOf(),
      structuredContent: { ...STRUCTURED, keys: [...STRUCTURED.keys] },
      _meta: { 'a.example/b': SECRET },
    }
  })
  mcp.registerTool('ask', {}, (ctx) => {
    const answer = acceptedContent<{ name: string }>(ctx.mcpReq.inputResponses, 'who')
    if (answer === undefined) return inputRequired({ inputRequests: { who: inputRequired.elicit(question()) } })
    received.add(answer)
    return { content: [{ type: 'text', text: `thanks for ${answer.name}, here is ${SECRET}` }] }
  })
  mcp.registerTool('sample', {}, (ctx) => {
    const sampled = inputResponse(ctx.mcpReq.inputResponses, 'what')
    if (sampled.kind === 'sampling') return { content: [{ type: 'text', text: 'sampled' }] }
    return inputRequired({ inputRequests: { what: inputRequired.createMessage(prompt()) } })
  })
  mcp.registerTool('fail', {}, () => ({ content: [{ type: 'text', text: `no: ${SECRET}` }], isError: true }))
  mcp.registerTool('take', { inputSchema: z.object({ text: z.string() }) }, (args) => {
    received.add(args)
    return { content: [{ type: 'text', text: 'taken' }] }
  })
  mcp.registerResource('key', 'leaky://key', {}, () => ({
    contents: [
      { uri: 'leaky://key', text: `key=${SECRET}` },
      { uri: 'leaky://key', blob: Buffer.from(`blob ${SECRET}`).toString('base64') },
    ],
  }))
  mcp.registerResource('broken', 'leaky://broken', {}, () => {
    throw new ProtocolError(-32099, `could not read ${SECRET}`, { key: SECRET })
  })
  const template = new ResourceTemplate('leaky://keys/{name}', { list: undefined, complete: { name: () => [SECRET] } })
  mcp.registerResource('keys', template, {}, ({ href }) => {
    received.add(href)
    return { contents: [{ uri: href, text: `read ${SECRET}` }] }
  })
  mcp.registerPrompt('write', { description: 'Writes.' }, () => ({
    description: `with ${SECRET}`,
    messages: [
      { role: 'user', content: { type: 'text', text: `use ${SECRET}` } },
      { role: 'user', content: { type: 'resource', resource: { uri: 'leaky://key', text: `and ${SECRET}` } } },
    ],
  }))
  return mcp
}

function contentOf() {
  return [
    { type: 'text' as const, text: `a text with ${SECRET}` },
    { type: 'text' as const, text: JSON.stringify(STRUCTURED, null, 2) },
    { type: 'text' as const, text: `in disguise: ${DISGUISED}` },
    { type: 'resource' as const, resource: { uri: `leaky://${SECRET}`, text: `embedded ${SECRET}` } },
    { type: 'resource_link' as const, uri: `https://a.example/${SECRET}`, name: SECRET, description: `see ${SECRET}` },
  ]
}

function prompt() {
  const content = { type: 'text' as const, text: `what of ${SECRET}?` }
  return { systemPrompt: `You know ${SECRET}.`, messages: [{ role: 'user' as const, content }], maxTokens: 10 }
}

function question() {
  const name = { type: 'string' as const, title: `instead of ${SECRET}` }
  return { message: `Shall I use ${SECRET}?`, requestedSchema: { type: 'object' as const, properties: { name } } }
}
