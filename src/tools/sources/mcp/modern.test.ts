import { toNodeHandler } from '@modelcontextprotocol/node'
import { acceptedContent, createMcpHandler, inputRequired, McpServer } from '@modelcontextprotocol/server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { caller, httpSource, inputOf, listenOn, testPort, textOf, toolCall, type TestServer } from './testing.ts'

const never = new AbortController().signal
const seen: { headers: Record<string, unknown>; envelope: unknown }[] = []

function buildServer(): McpServer {
  const mcp = new McpServer(
    { name: 'modern', version: '1' },
    { capabilities: { logging: {}, tools: { listChanged: true }, resources: { subscribe: true } } },
  )
  mcp.registerTool('echo', { inputSchema: z.object({ text: z.string() }) }, async ({ text }, ctx) => {
    seen.push({ headers: {}, envelope: ctx.mcpReq.envelope })
    return { content: [{ type: 'text', text }] }
  })
  mcp.registerTool('noisy', { inputSchema: z.object({}) }, async (_args, ctx) => {
    await ctx.mcpReq.log('info', 'hello')
    await ctx.mcpReq.log('error', 'bad')
    const token = ctx.mcpReq._meta?.progressToken
    if (token !== undefined) {
      await ctx.mcpReq.notify({
        method: 'notifications/progress',
        params: { progressToken: token, progress: 1, total: 2 },
      })
    }
    return { content: [{ type: 'text', text: 'done' }] }
  })
  mcp.registerTool('ask', { inputSchema: z.object({}) }, async (_args, ctx) => {
    const answer = acceptedContent<{ name: string }>(ctx.mcpReq.inputResponses, 'who')
    if (answer !== undefined) return { content: [{ type: 'text', text: `hello ${answer.name}` }] }
    return inputRequired({
      inputRequests: {
        who: inputRequired.elicit({
          message: 'who?',
          requestedSchema: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
        }),
      },
      requestState: 'opaque',
    })
  })
  mcp.registerTool(
    'region',
    { inputSchema: z.object({ region: z.string().meta({ 'x-mcp-header': 'Region' }) }) },
    async ({ region }) => ({
      content: [{ type: 'text', text: region }],
    }),
  )
  mcp.registerResource('one', 'test://one', {}, async () => ({ contents: [{ uri: 'test://one', text: '1' }] }))
  return mcp
}

const modern = createMcpHandler(buildServer, { legacy: 'reject' })
let server: TestServer

beforeAll(async () => {
  const handler = toNodeHandler(modern)
  server = await listenOn((req, res) => {
    seen.push({ headers: req.headers, envelope: undefined })
    const { method = '', url = '' } = req
    void handler(Object.assign(req, { method, url }), res)
  })
})
afterAll(async () => {
  await modern.close()
  await server.close()
})

describe('a server of the stateless era (SDK v2)', () => {
  test('is found to be one and lists everything', async () => {
    await using source = httpSource(server.url)

    const offer = await source.sync(never)

    expect(offer.era).toBe('modern')
    expect(offer.serverInfo).toMatchObject({ name: 'modern' })
    expect(offer.tools.map((tool) => tool['name'])).toEqual(expect.arrayContaining(['ask', 'echo', 'noisy', 'region']))
    expect(offer.resources).toHaveLength(1)
  })

  test('gets the name and the capabilities of the caller, not ours', async () => {
    await using source = httpSource(server.url)
    seen.length = 0

    const session = caller({ clientInfo: { name: 'their-client', version: '7' }, clientCapabilities: { roots: {} } })
    const reply = await source.call(toolCall('echo', { text: 'grüße' }, { session }), testPort())

    expect(textOf(reply)).toBe('grüße')
    expect(seen.find(({ envelope }) => envelope !== undefined)?.envelope).toMatchObject({
      'io.modelcontextprotocol/clientInfo': { name: 'their-client' },
      'io.modelcontextprotocol/clientCapabilities': { roots: {} },
    })
  })

  test('log messages come from the level that was asked for, and none without', async () => {
    await using source = httpSource(server.url)
    const loud = testPort()
    const quiet = testPort()

    await source.call(toolCall('noisy', {}, { logLevel: 'warning', wantsProgress: true }), loud)
    await source.call(toolCall('noisy', {}), quiet)

    expect(loud.messages.map((message) => message['level'])).toEqual(['error'])
    expect(loud.progressed).toEqual([{ progress: 1, total: 2 }])
    expect(quiet.messages).toEqual([])
    expect(quiet.progressed).toEqual([])
  })

  test('asks by input_required and is called again with the answer', async () => {
    await using source = httpSource(server.url)
    const call = toolCall('ask')

    const asked = inputOf(await source.call(call, testPort()))
    const inputResponses = { who: { action: 'accept', content: { name: 'Ada' } } }
    const reply = await source.call({ ...call, state: asked.state, inputResponses }, testPort())

    expect(asked.pinned).toBe(false)
    expect(asked.state).toBe('opaque')
    expect(textOf(reply)).toBe('hello Ada')
  })

  test('annotated arguments are mirrored in headers', async () => {
    await using source = httpSource(server.url)
    await source.sync(never)
    seen.length = 0

    const reply = await source.call(toolCall('region', { region: 'zürich' }), testPort())

    expect(textOf(reply)).toBe('zürich')
    const sent = seen.find(({ headers }) => headers['mcp-name'] !== undefined)
    expect(sent?.headers).toMatchObject({
      'mcp-name': 'region',
      'mcp-param-region': `=?base64?${Buffer.from('zürich').toString('base64')}?=`,
    })
  })

  test('an unknown tool is the error of the server', async () => {
    await using source = httpSource(server.url)

    const reply = await source.call(toolCall('nothing'), testPort())

    expect(reply).toMatchObject({ kind: 'error', error: { code: -32602 } })
  })

  test('tells once when a list changed', async () => {
    await using source = httpSource(server.url)
    const told = Promise.withResolvers<void>()
    await source.sync(never)
    const updated = Promise.withResolvers<unknown>()
    const end = await source.subscribe?.({ session: caller(), uri: 'test://one', onUpdated: updated.resolve })

    modern.notify.resourceUpdated('test://one')
    modern.notify.toolsChanged()
    modern.notify.toolsChanged()
    setTimeout(told.resolve, 300)
    await told.promise

    expect(await updated.promise).toMatchObject({ uri: 'test://one' })
    expect(source.heard.listChanged).toBe(1)
    expect(source.usage().subscriptions).toBe(1)
    await end?.()
    expect(source.usage().subscriptions).toBe(0)
  })
})
