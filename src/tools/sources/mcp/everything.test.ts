import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { JsonObject } from '#kernel'
import { caller, httpSource, inputOf, testPort, textOf, toolCall } from './testing.ts'
import { startEverything, type EverythingServer } from './testing-everything.ts'

let server: EverythingServer
const unable = caller({ clientCapabilities: {} })
const never = new AbortController().signal

beforeAll(async () => {
  server = await startEverything('streamableHttp')
})
afterAll(() => server[Symbol.asyncDispose]())

describe('server-everything over streamable HTTP', () => {
  test('is found to be of the session era and shows the tools that only able clients see', async () => {
    await using source = httpSource(server.url)

    const offer = await source.sync(never)

    expect(offer.era).toBe('legacy')
    expect(offer.tools.map((tool) => tool['name'])).toEqual(
      expect.arrayContaining(['echo', 'get-roots-list', 'trigger-elicitation-request', 'trigger-sampling-request']),
    )
    expect(offer.resources.length).toBeGreaterThan(0)
    expect(offer.templates.length).toBeGreaterThan(0)
    expect(offer.prompts.length).toBeGreaterThan(0)
    expect(source.usage().sessions).toBe(0)
  })

  test('answers a call', async () => {
    await using source = httpSource(server.url)

    const reply = await source.call(toolCall('echo', { message: 'hello' }), testPort())

    expect(textOf(reply)).toBe('Echo: hello')
  })

  test('reports progress under the token of the caller only', async () => {
    await using source = httpSource(server.url)
    const port = testPort()

    await source.call(
      toolCall('trigger-long-running-operation', { duration: 0.4, steps: 4 }, { wantsProgress: true, session: unable }),
      port,
    )

    expect(port.progressed).toHaveLength(4)
    expect(port.progressed[0]).toEqual({ progress: 1, total: 4 })
  })

  test('asks for sampling in the middle of a call and goes on with the answer', async () => {
    await using source = httpSource(server.url)
    const call = toolCall('trigger-sampling-request', { prompt: 'say hi', maxTokens: 10 })

    const asked = inputOf(await source.call(call, testPort()))
    const [[key, request] = []] = Object.entries(asked.requests)
    const sample: JsonObject = { role: 'assistant', model: 'm', content: { type: 'text', text: 'HI THERE' } }
    const reply = await source.call(
      { ...call, state: asked.state, inputResponses: { [String(key)]: sample } },
      testPort(),
    )

    expect(asked.pinned).toBe(true)
    expect(request?.method).toBe('sampling/createMessage')
    expect(textOf(reply)).toContain('HI THERE')
  })

  test('asks by form', async () => {
    await using source = httpSource(server.url)
    const call = toolCall('trigger-elicitation-request')

    const asked = inputOf(await source.call(call, testPort()))
    const [key = ''] = Object.keys(asked.requests)
    const reply = await source.call(
      {
        ...call,
        state: asked.state,
        inputResponses: { [key]: { action: 'accept', content: { name: 'Ada', check: true } } },
      },
      testPort(),
    )

    expect(textOf(reply)).toContain('provided the requested information')
  })

  test.each(Array.from({ length: 5 }, (_, round) => ({ round })))(
    'lists roots though it asks for them by itself after the first call (round $round)',
    async () => {
      await using source = httpSource(server.url)
      const call = toolCall('get-roots-list')

      const asked = inputOf(await source.call(call, testPort()))
      const [key = ''] = Object.keys(asked.requests)
      const roots = { roots: [{ uri: 'file:///project', name: 'here' }] }
      const reply = await source.call({ ...call, state: asked.state, inputResponses: { [key]: roots } }, testPort())

      expect(asked.requests[key]?.method).toBe('roots/list')
      expect(textOf(reply)).toContain('file:///project')
    },
  )

  test('a page to visit is asked for and the call is made again', async () => {
    await using source = httpSource(server.url)
    const args = { url: 'https://example.com/x', message: 'go', errorPath: true }
    const call = toolCall('trigger-url-elicitation', args)

    const first = inputOf(await source.call(call, testPort()))
    const accept = (asked: typeof first) =>
      Object.fromEntries(Object.keys(asked.requests).map((key) => [key, { action: 'accept' }]))
    const second = inputOf(
      await source.call({ ...call, state: first.state, inputResponses: accept(first) }, testPort()),
    )
    const reply = await source.call({ ...call, state: second.state, inputResponses: accept(second) }, testPort())

    expect(Object.values(first.requests)[0]?.params).toEqual(expect.objectContaining({ mode: 'url' }))
    expect(Object.values(second.requests)[0]?.params).toEqual(
      expect.objectContaining({ mode: 'url', url: 'https://example.com/x' }),
    )
    expect(reply.kind).toBe('complete')
  })

  test('reads resources, gets prompts and completes arguments', async () => {
    await using source = httpSource(server.url)
    const base = toolCall('')

    const offer = await source.sync(never)
    const uri = offer.resources[0]?.['uri']
    const read = await source.call({ ...base, method: 'resources/read', params: { uri } }, testPort())
    const prompt = await source.call({ ...base, method: 'prompts/get', params: { name: 'simple-prompt' } }, testPort())

    expect(read.kind).toBe('complete')
    expect(prompt.kind).toBe('complete')
  })

  test('each session of a caller is its own upstream and ends with it', async () => {
    await using source = httpSource(server.url)
    const b = caller({ key: 'session-2', clientCapabilities: {} })

    await source.call(toolCall('echo', { message: '1' }), testPort())
    await source.call(toolCall('echo', { message: '2' }, { session: b }), testPort())
    const during = source.usage().sessions
    await source.endSession('session-1')

    expect(during).toBe(2)
    expect(source.usage().sessions).toBe(1)
  })
})
