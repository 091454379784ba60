import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, test } from 'vitest'
import { isJsonObject, type JsonObject } from '#kernel'
import { serverConfig } from '../../config.ts'
import type { CallMethod, Source } from '../../source.ts'
import { createBuiltinSource } from './index.ts'

const SESSION = {
  key: 's',
  era: 'modern',
  userId: 'alice@example.com',
  clientInfo: { name: 'inspector', version: '2' },
  clientCapabilities: {},
} as const

describe('the reference server', () => {
  test('offers three harmless tools with valid schemas', async () => {
    const { tools, era, serverInfo } = await createSource().sync(AbortSignal.timeout(1_000))

    expect(tools.map((tool) => tool['name'])).toEqual(['echo', 'add', 'whoami'])
    expect(tools.map((tool) => tool['annotations'])).toEqual(
      Array.from({ length: 3 }, () => expect.objectContaining({ readOnlyHint: true, destructiveHint: false })),
    )
    expect(tools.map((tool) => new Ajv2020().validateSchema(schemaOf(tool, 'inputSchema')))).toEqual([true, true, true])
    expect({ era, serverInfo }).toMatchObject({ era: 'builtin', serverInfo: { name: 'house-reference', version: '9' } })
  })

  test.for([
    { tool: 'echo', given: { text: 'ä' }, gives: { content: [{ type: 'text', text: 'ä' }] } },
    { tool: 'add', given: { a: 2, b: 0.5 }, gives: { structuredContent: { sum: 2.5 } } },
    {
      tool: 'whoami',
      given: {},
      gives: { structuredContent: { userId: 'alice@example.com', clientInfo: SESSION.clientInfo, era: 'modern' } },
    },
  ])('$tool answers', async ({ tool, given, gives }) => {
    expect(await callTool(tool, given)).toMatchObject({ isError: false, value: gives })
  })

  test.for([
    { tool: 'echo', given: {}, says: 'text: ' },
    { tool: 'echo', given: { text: 'a', loud: true }, says: 'loud' },
    { tool: 'add', given: { a: '1', b: 2 }, says: 'a: ' },
    { tool: 'add', given: { a: 1e308, b: 1e308 }, says: 'too large' },
    { tool: 'whoami', given: [], says: 'do not fit its schema' },
  ])('$tool with $given is a tool error that says what is wrong', async ({ tool, given, says }) => {
    expect(await callTool(tool, given)).toMatchObject({
      isError: true,
      value: { isError: true, content: [{ type: 'text', text: expect.stringContaining(says) }] },
    })
  })

  test('what is structured fits the output schema', async () => {
    const { tools } = await createSource().sync(AbortSignal.timeout(1_000))
    const { value } = await callTool('whoami', {})

    const validate = new Ajv2020().compile(schemaOf(tools[2] ?? {}, 'outputSchema'))

    expect(validate(value['structuredContent'])).toBe(true)
  })

  test('an unknown tool and another method are protocol errors', async () => {
    expect(await send('tools/call', { name: 'nope' })).toMatchObject({ kind: 'error', error: { code: -32602 } })
    expect(await send('prompts/get', { name: 'nope' })).toMatchObject({ kind: 'error', error: { code: -32601 } })
  })

  test('holds nothing', async () => {
    const source = createSource()
    await source.endSession('s')

    expect(source.usage()).toEqual({ sessions: 0, parkedCalls: 0, processes: 0, subscriptions: 0 })
    await source.close()
  })
})

function createSource(): Source {
  const config = serverConfig.parse({ name: 'reference', transport: 'builtin' })
  if (config.transport !== 'builtin') throw new Error('not a builtin server')
  return createBuiltinSource({ config, trusted: true }, { house: { name: 'house', version: '9' } })
}

function send(method: CallMethod, params: JsonObject): ReturnType<Source['call']> {
  const call = { method, params, session: SESSION, wantsProgress: false, timeoutMs: 1_000 }
  const port = { progress() {}, message() {}, notify() {} }
  return createSource().call({ ...call, signal: new AbortController().signal }, port)
}

async function callTool(name: string, given: JsonObject | never[]): Promise<{ isError: boolean; value: JsonObject }> {
  const reply = await send('tools/call', { name, arguments: given })
  if (reply.kind !== 'complete') throw new Error(`a ${reply.kind} reply`)
  return { isError: reply.isError, value: reply.result.value() }
}

function schemaOf(definition: JsonObject, member: string): JsonObject {
  const schema = definition[member]
  return isJsonObject(schema) ? schema : {}
}
