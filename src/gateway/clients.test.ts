import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { ElicitRequestSchema, ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { serveFace, type Served } from './testing.ts'

let served: Served
beforeEach(async () => {
  served = await serveFace()
})
afterEach(async () => await served[Symbol.asyncDispose]())

const headers = { authorization: 'Bearer key-a' }
const info = { name: 'test-client', version: '1.0.0' }

async function connectV2(mode: 'legacy' | 'auto' | { pin: string }) {
  const capabilities = { elicitation: { form: {}, url: {} }, roots: {}, sampling: {} }
  const client = new ClientV2(info, { capabilities, versionNegotiation: { mode } })
  client.setRequestHandler('elicitation/create', async () => ({ action: 'accept', content: { name: 'Ada' } }))
  await client.connect(new TransportV2(new URL(`${served.url}/demo`), { requestInit: { headers } }))
  return client
}

async function connectV1() {
  const client = new ClientV1(info, { capabilities: { elicitation: {} } })
  client.setRequestHandler(ElicitRequestSchema, async () => ({ action: 'accept', content: { name: 'Ada' } }))
  await client.connect(new TransportV1(new URL(`${served.url}/demo`), { requestInit: { headers } }))
  return client
}

describe.each([
  ['legacy', 'legacy', 'legacy'],
  ['auto', 'auto', 'modern'],
  ['pinned', { pin: '2026-07-28' }, 'modern'],
] as const)('the SDK v2 client in %s mode', (_name, mode, era) => {
  it('connects in the era it should', async () => {
    const client = await connectV2(mode)

    expect(client.getProtocolEra()).toBe(era)
    expect(client.getInstructions()).toBe('Be kind.')
    await client.close()
  })

  it('lists and calls', async () => {
    const client = await connectV2(mode)

    const { tools } = await client.listTools()
    const result = await client.callTool({ name: 'echo', arguments: { a: 1 } })
    const { resources } = await client.listResources()
    const note = await client.readResource({ uri: 'test://note' })
    const prompt = await client.getPrompt({ name: 'greet' })

    expect(tools.map((tool) => tool.name)).toContain('echo')
    expect(result.content).toEqual([{ type: 'text', text: '{"a":1}' }])
    expect(resources).toHaveLength(1)
    expect(note.contents).toEqual([{ uri: 'test://note', text: 'a note' }])
    expect(prompt.messages[0]?.content).toEqual({ type: 'text', text: 'Hello from alice' })
    await client.close()
  })

  it('gets progress under its own token', async () => {
    const client = await connectV2(mode)
    const steps: number[] = []

    const onprogress = (step: { progress: number }) => void steps.push(step.progress)
    const result = await client.callTool({ name: 'progress', arguments: {} }, { onprogress })

    expect(steps).toEqual([1, 2])
    expect(result.content).toEqual([{ type: 'text', text: 'progress true' }])
    await client.close()
  })

  it('answers a question in mid-call', async () => {
    const client = await connectV2(mode)

    const result = await client.callTool({ name: 'ask', arguments: {} })

    const answer = { action: 'accept', content: { name: 'Ada' } }
    expect(result.content).toEqual([{ type: 'text', text: JSON.stringify(answer) }])
    await client.close()
  })

  it('has its call aborted when it cancels', async () => {
    const client = await connectV2(mode)
    const cancel = new AbortController()

    const call = client.callTool({ name: 'slow', arguments: {} }, { signal: cancel.signal })
    await expect.poll(() => served.tools.seen.length).toBe(1)
    cancel.abort()

    await expect(call).rejects.toThrow()
    await expect.poll(() => served.tools.aborted).toBe(1)
    await client.close()
  })

  it('carries a result of megabytes', async () => {
    const client = await connectV2(mode)

    const result = await client.callTool({ name: 'big', arguments: {} })

    expect(JSON.stringify(result.content).length).toBeGreaterThan(2_000_000)
    await client.close()
  })
})

describe('the SDK v2 client in the modern era', () => {
  it('listens for changes and followed resources until it stops', async () => {
    const client = await connectV2('auto')
    const heard: string[] = []
    client.setNotificationHandler('notifications/tools/list_changed', () => void heard.push('tools'))
    client.setNotificationHandler('notifications/resources/updated', ({ params }) => void heard.push(params.uri))

    const listening = await client.listen({ toolsListChanged: true, resourceSubscriptions: ['test://note'] })
    served.tools.change('tools')
    for (const follower of served.tools.subscriptions.get('test://note') ?? []) follower({ uri: 'test://note' })
    await expect.poll(() => heard).toEqual(['tools', 'test://note'])
    await listening.close()

    await expect.poll(() => served.face.sessions().listens).toBe(0)
    expect(served.tools.listeners).toBe(0)
    await client.close()
  })

  it('opens a page that a call wants, and calls again', async () => {
    const client = await connectV2('auto')

    const result = await client.callTool({ name: 'open-page', arguments: {} })

    expect(JSON.stringify(result.content)).toContain('accept')
    await client.close()
  })
})

describe('the SDK v1 client', () => {
  it('lists, calls, is asked, and hears of changed lists', async () => {
    const client = await connectV1()
    const changed = Promise.withResolvers<void>()
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => changed.resolve())

    const { tools } = await client.listTools()
    const asked = await client.callTool({ name: 'ask', arguments: {} })
    await expect.poll(() => served.tools.listeners).toBe(1)
    served.tools.change('tools')
    await changed.promise

    expect(tools).toHaveLength(10)
    expect(JSON.stringify(asked.content)).toContain('Ada')
    await client.close()
  })

  it('gets a page that must be opened as error -32042', async () => {
    const client = await connectV1()

    const call = client.callTool({ name: 'open-page', arguments: {} })

    await expect(call).rejects.toMatchObject({ code: -32042 })
    await client.close()
  })

  it('gets structured content that is no object as text only', async () => {
    const client = await connectV1()

    const result = await client.callTool({ name: 'list-value', arguments: {} })

    expect(result).toEqual({ content: [{ type: 'text', text: '[1]' }] })
    await client.close()
  })

  it('follows a resource', async () => {
    const client = await connectV1()
    const updated = Promise.withResolvers<unknown>()
    client.fallbackNotificationHandler = async (notification) => updated.resolve(notification.params)

    await expect.poll(() => served.tools.listeners).toBe(1)
    await client.subscribeResource({ uri: 'test://note' })
    for (const follower of served.tools.subscriptions.get('test://note') ?? []) follower({ uri: 'test://note' })

    expect(await updated.promise).toEqual({ uri: 'test://note' })
    await client.unsubscribeResource({ uri: 'test://note' })
    expect(served.tools.subscriptions.get('test://note')?.size).toBe(0)
    await client.close()
  })

  it('ends its session, here and behind', async () => {
    const client = await connectV1()
    const transport = client.transport

    if (transport instanceof TransportV1) await transport.terminateSession()

    expect(served.face.sessions()).toMatchObject({ count: 0, streams: 0, calls: 0 })
    expect(served.tools.ended).toHaveLength(1)
    await client.close()
  })

  it('runs a task whose question it answers', async () => {
    const client = await connectV1()

    const stream = client.experimental.tasks.callToolStream({ name: 'job', arguments: {} }, undefined, {
      task: { ttl: 60_000 },
    })
    const seen: { type: string; text?: string }[] = []
    for await (const item of stream) seen.push({ type: item.type, text: JSON.stringify(item) })

    expect(seen.map((item) => item.type)).toContain('taskCreated')
    expect(seen.at(-1)?.type).toBe('result')
    expect(seen.at(-1)?.text).toContain('Ada')
    await client.close()
  })
})
