import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { caller, httpSource, inputOf, rawServer, sendJson, testPort, textOf, toolCall } from './testing.ts'
import { startEverything, type EverythingServer } from './testing-everything.ts'

let server: EverythingServer
const never = new AbortController().signal

beforeAll(async () => {
  server = await startEverything('sse')
})
afterAll(() => server[Symbol.asyncDispose]())

describe('server-everything over HTTP+SSE', () => {
  test('is found, lists, and answers with progress', async () => {
    await using source = httpSource(server.url)
    const port = testPort()
    const session = caller({ clientCapabilities: {} })
    const args = { duration: 0.2, steps: 2 }

    const offer = await source.sync(never)
    const reply = await source.call(
      toolCall('trigger-long-running-operation', args, { session, wantsProgress: true }),
      port,
    )

    expect(offer.era).toBe('sse')
    expect(offer.tools.length).toBeGreaterThan(12)
    expect(textOf(reply)).toContain('completed')
    expect(port.progressed).toHaveLength(2)
  })

  test('asks the caller of its only call', async () => {
    await using source = httpSource(server.url)
    const call = toolCall('trigger-elicitation-request')

    const asked = inputOf(await source.call(call, testPort()))
    const [key = ''] = Object.keys(asked.requests)
    const inputResponses = { [key]: { action: 'cancel' } }
    const reply = await source.call({ ...call, state: asked.state, inputResponses }, testPort())

    expect(textOf(reply)).toContain('cancelled')
  })

  test('an endpoint in another origin is refused', async () => {
    await using fake = await rawServer(({ req, res }) => {
      if (req.method !== 'GET') return sendJson(res, 405, {})
      res.writeHead(200, { 'content-type': 'text/event-stream' })
      res.write('event: endpoint\ndata: http://169.254.169.254/steal\n\n')
    })
    await using source = httpSource(fake.url)

    await expect(source.sync(never)).rejects.toMatchObject({ kind: { code: 'tools/upstream-broken' } })
  })
})
