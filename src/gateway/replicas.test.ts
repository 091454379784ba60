import { request } from 'node:http'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ReplicaRouting } from './context.ts'
import { serveFace, type Served } from './testing.ts'
import { beginSession, legacy, modern, send } from './testing-http.ts'

let one: Served
let two: Served
const ports = new Map<string, number>()

/** Hands requests over as a real house would: the same bytes to the other process, its answer back as it comes. */
const routing = (id: string): ReplicaRouting => ({
  id,
  ownerOf: (state) => (state.startsWith('at-') ? state.slice(3) : null),
  forward: async (owner, req, res, body) => {
    const port = ports.get(owner)
    if (port === undefined) return 'gone'
    const { promise, resolve, reject } = Promise.withResolvers<'forwarded'>()
    const { method, url, headers } = req
    const onward = request({ port, host: '127.0.0.1', method, path: url, headers }, (reply) => {
      res.writeHead(reply.statusCode ?? 502, reply.headers)
      reply.pipe(res)
      reply.once('end', () => resolve('forwarded'))
    })
    onward.once('error', reject)
    onward.end(body)
    return await promise
  },
})

beforeEach(async () => {
  one = await serveFace({ replica: routing('one') })
  two = await serveFace({ replica: routing('two') })
  ports.set('one', one.port).set('two', two.port)
})
afterEach(async () => {
  await one[Symbol.asyncDispose]()
  await two[Symbol.asyncDispose]()
  ports.clear()
})

describe('two replicas', () => {
  it('serve each other’s sessions', async () => {
    const headers = await beginSession(`${one.url}/open`)

    const call = await send({ url: `${two.url}/open`, headers, body: legacy('tools/call', { name: 'echo' }) })
    const end = await send({ url: `${two.url}/open`, method: 'DELETE', headers })

    expect(headers['mcp-session-id']).toMatch(/^one\./)
    expect(call.status).toBe(200)
    expect(end.status).toBe(204)
    expect(one.tools.seen).toHaveLength(1)
    expect(two.tools.seen).toHaveLength(0)
  })

  it('say that a session is gone when its replica is', async () => {
    const headers = await beginSession(`${one.url}/open`)
    ports.delete('one')

    const call = await send({ url: `${two.url}/open`, headers, body: legacy('ping') })

    expect(call.status).toBe(404)
  })

  it('bring a retry to where the call is parked', async () => {
    const retry = modern('tools/call', { name: 'ask', requestState: 'at-one', inputResponses: {} })

    await send({ url: `${two.url}/open`, ...retry })

    expect([one.tools.seen.length, two.tools.seen.length]).toEqual([1, 0])
  })
})
