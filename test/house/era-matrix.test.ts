import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { JsonObject } from '#kernel'
import { redPixelPng } from '../fixtures/conformance/media.ts'
import { cells, startMatrix, type Cell, type Matrix } from './matrix/cells.ts'
import type { MatrixClient } from './matrix/clients.ts'

/** What every client must get from every upstream, in the same words, whatever lies between them. */

let matrix: Matrix
beforeAll(async () => {
  matrix = await startMatrix()
})
afterAll(() => matrix[Symbol.asyncDispose]())

describe.each(cells)('$client → $upstream upstream, in the gateway "$gateway"', (cell: Cell) => {
  let client: MatrixClient
  beforeAll(async () => {
    client = await matrix.connect(cell)
  })
  afterAll(() => client.close())

  const callTool = (name: string, args?: JsonObject) => client.callTool(matrix.tool(cell, name), args)

  test('the client keeps its era', () => {
    expect(client.version).toBe(client.era === 'modern' ? '2026-07-28' : '2025-11-25')
    expect(client.serverCapabilities).toEqual(
      expect.objectContaining({
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        completions: {},
        logging: {},
      }),
    )
  })

  test('lists every tool with all that its server says of it', async () => {
    const { tools } = await client.request('tools/list')

    expect(tools).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          name: matrix.tool(cell, 'test_structured_sum'),
          title: 'Add two numbers',
          annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
          outputSchema: expect.objectContaining({ type: 'object' }),
        }),
        expect.objectContaining({
          name: matrix.tool(cell, 'test_app_dashboard'),
          _meta: { ui: { resourceUri: matrix.uri(cell, APP), visibility: ['model', 'app'] } },
        }),
      ]),
    )
  })

  test.each([
    { tool: 'test_simple_text', types: ['text'] },
    { tool: 'test_image_content', types: ['image'] },
    { tool: 'test_audio_content', types: ['audio'] },
    { tool: 'test_embedded_resource', types: ['resource'] },
    { tool: 'test_multiple_content_types', types: ['text', 'image', 'resource'] },
    { tool: 'test_resource_link', types: ['resource_link'] },
  ])('$tool answers with $types', async ({ tool, types }) => {
    const { content } = await callTool(tool)

    expect(content).toEqual(types.map((type) => expect.objectContaining({ type })))
  })

  test('structured content arrives, and fits its schema', async () => {
    await client.request('tools/list')

    const result = await callTool('test_structured_sum', { a: 2, b: 40 })

    expect(result).toEqual(
      expect.objectContaining({ structuredContent: { sum: 42 }, content: [{ type: 'text', text: '{"sum":42}' }] }),
    )
  })

  test('a tool that fails says so in its result', async () => {
    const result = await callTool('test_error_handling')

    expect(result).toEqual(
      expect.objectContaining({
        isError: true,
        content: [{ type: 'text', text: 'This tool intentionally returns an error for testing' }],
      }),
    )
  })

  test('a protocol error of the server is the error of the request', async () => {
    const name = matrix.prompt(cell, 'test_prompt_with_arguments')

    await expect(client.request('prompts/get', { name, arguments: { arg1: 'one' } })).rejects.toMatchObject({
      code: -32602,
      message: expect.stringContaining('arg2'),
    })
  })

  test('an unknown tool is refused as invalid', async () => {
    await expect(client.callTool('no_such_tool')).rejects.toMatchObject({ code: -32602 })
  })

  test('arguments that the schema refuses are a tool error that names them', async () => {
    const result = await callTool('test_structured_sum', { a: 'two', b: 40 })

    expect(result['isError']).toBe(true)
    expect(JSON.stringify(result['content'])).toMatch(/\ba\b/)
  })

  test('an argument that is mirrored in a header arrives', async () => {
    await client.request('tools/list')

    const result = await callTool('test_x_mcp_header', { region: 'Zürich', query: 'x' })

    expect(JSON.stringify(result['content'])).toContain('Zürich')
  })

  test('resources and templates are listed and read', async () => {
    const { resources } = await client.request('resources/list')
    const { resourceTemplates } = await client.request('resources/templates/list')
    const text = await read(client, matrix.uri(cell, 'test://static-text'))
    const image = await read(client, matrix.uri(cell, 'test://static-binary'))
    const document = await read(client, matrix.uri(cell, 'test://template/{id}/data').replace('{id}', '77'))

    expect(resources).toEqual(
      expect.arrayContaining([expect.objectContaining({ uri: matrix.uri(cell, 'test://static-text') })]),
    )
    expect(resourceTemplates).toEqual(
      expect.arrayContaining([expect.objectContaining({ uriTemplate: matrix.uri(cell, 'test://template/{id}/data') })]),
    )
    expect(text).toEqual([
      {
        uri: matrix.uri(cell, 'test://static-text'),
        mimeType: 'text/plain',
        text: 'This is the content of the static text resource.',
      },
    ])
    expect(image).toEqual([expect.objectContaining({ mimeType: 'image/png', blob: redPixelPng })])
    expect(document).toEqual([expect.objectContaining({ text: expect.stringContaining('Data for ID: 77') })])
  })

  test('a resource that does not exist is an error in the words of the client’s era', async () => {
    // SDK v2 turns the -32002 of a session into the modern code by itself.
    const code = cell.client === 'SDK v1' ? -32002 : -32602

    await expect(client.request('resources/read', { uri: 'test://nothing/here' })).rejects.toMatchObject({ code })
  })

  test('the page of an MCP App is read with its settings', async () => {
    const contents = await read(client, matrix.uri(cell, APP))

    expect(contents).toEqual([
      expect.objectContaining({
        uri: matrix.uri(cell, APP),
        mimeType: 'text/html;profile=mcp-app',
        _meta: { ui: { csp: { connectDomains: ['https://example.com'] }, prefersBorder: true } },
        text: expect.stringContaining('<!doctype html>'),
      }),
    ])
  })

  test('a tool of an MCP App keeps the _meta of its result', async () => {
    const result = await callTool('test_app_dashboard', { city: 'Basel' })

    expect(result).toEqual(
      expect.objectContaining({
        structuredContent: { city: 'Basel', celsius: 21 },
        _meta: expect.objectContaining({ 'com.example/view': 'dashboard' }),
      }),
    )
  })

  test('prompts are listed and filled in', async () => {
    const { prompts } = await client.request('prompts/list')
    const args = { arg1: 'one', arg2: 'two' }
    const name = matrix.prompt(cell, 'test_prompt_with_arguments')
    const { messages } = await client.request('prompts/get', { name, arguments: args })

    expect(prompts).toEqual(expect.arrayContaining([expect.objectContaining({ name, title: 'Two arguments' })]))
    expect(messages).toEqual([
      { role: 'user', content: { type: 'text', text: "Prompt with arguments: arg1='one', arg2='two'" } },
    ])
  })

  test('an unknown prompt is refused as invalid', async () => {
    await expect(client.request('prompts/get', { name: 'no_such_prompt' })).rejects.toMatchObject({ code: -32602 })
  })

  test.each([
    {
      of: 'a prompt',
      ref: () => ({ type: 'ref/prompt', name: matrix.prompt(cell, 'test_prompt_with_arguments') }),
      argument: { name: 'arg1', value: 'pa' },
      values: ['paris', 'park', 'party'],
    },
    {
      of: 'a template',
      ref: () => ({ type: 'ref/resource', uri: matrix.uri(cell, 'test://template/{id}/data') }),
      argument: { name: 'id', value: '12' },
      values: ['123', '124'],
    },
  ])('an argument of $of is completed', async ({ ref, argument, values }) => {
    const { completion } = await client.request('completion/complete', { ref: ref(), argument })

    expect(completion).toEqual(expect.objectContaining({ values }))
  })

  test('progress comes back under the token of the call, in order', async () => {
    const steps: unknown[] = []

    await client.callTool(matrix.tool(cell, 'test_tool_with_progress'), {}, { onprogress: (step) => steps.push(step) })

    expect(steps).toEqual([0, 50, 100].map((progress) => expect.objectContaining({ progress, total: 100 })))
  })

  test('log messages come from the level on that the client asked for', async () => {
    await client.setLogLevel('debug')
    client.heard.clear()

    await callTool('test_tool_with_logging')
    const whenWanted = logLines(client)
    await client.setLogLevel('error')
    await callTool('test_tool_with_logging')

    expect(whenWanted).toEqual(['Tool execution started', 'Tool processing data', 'Tool execution completed'])
    expect(logLines(client)).toEqual(whenWanted)
  })
})

const APP = 'ui://fixture/dashboard.html'

async function read(client: MatrixClient, uri: string) {
  return (await client.request('resources/read', { uri }))['contents']
}

function logLines(client: MatrixClient) {
  return client.heard.entries
    .filter(({ method }) => method === 'notifications/message')
    .map(({ params }) => params['data'])
}
