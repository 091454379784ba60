import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { isJsonObject, type Json, type JsonObject } from '#kernel'
import { readText } from '../fakes/listen.ts'
import { lineOf, openHouse } from './kit.ts'
import { callTool, openSession } from './talk.ts'

/** A server of either era that keeps what calls bring. */
async function startWitness(modern: boolean) {
  const seen: JsonObject[] = []
  const answer = (message: Json): JsonObject | null => {
    if (!isJsonObject(message) || message['id'] === undefined) return null
    const { id, method, params } = message
    if (method === 'tools/call' && isJsonObject(params)) seen.push(params)
    const result = typeof method === 'string' ? answers(modern)[method] : undefined
    const error = { code: -32601, message: 'no such method' }
    return { jsonrpc: '2.0', id: id ?? null, ...(result === undefined ? { error } : { result }) }
  }
  const server: Server = createServer((req, res) => {
    void readText(req).then((text) => {
      const reply = answer(JSON.parse(text || '{}'))
      res.writeHead(reply === null ? 202 : 200, { 'content-type': 'application/json' })
      res.end(reply === null ? '' : JSON.stringify(reply))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const address = server.address()
  return { seen, url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/mcp` }
}

function answers(modern: boolean): Readonly<Record<string, JsonObject>> {
  const base: JsonObject = modern ? { resultType: 'complete', ttlMs: 0, cacheScope: 'private' } : {}
  const common = {
    'tools/list': { ...base, tools: [{ name: 'witness', inputSchema: { type: 'object' } }] },
    'tools/call': { ...base, content: [{ type: 'text', text: 'seen' }] },
  }
  const serverInfo = { name: 'witness', version: '1' }
  const capabilities = { tools: {} }
  return modern
    ? { ...common, 'server/discover': { ...base, supportedVersions: ['2026-07-28'], capabilities, serverInfo } }
    : { ...common, initialize: { protocolVersion: '2025-11-25', capabilities, serverInfo } }
}

test.each([true, false])(
  'one trace goes from the client to the server and into the audit (modern server: %s)',
  async (modern) => {
    const witness = await startWitness(modern)
    const house = await openHouse({
      toml: `
      [[servers]]
      name = "up"
      transport = "http"
      url = "${witness.url}"

      [[gateways]]
      slug = "demo"
      tools = ["up/*"]
    `,
    })
    const line = await lineOf(house, 'alice')
    const traceId = randomBytes(16).toString('hex')
    const spanId = randomBytes(8).toString('hex')
    const meta = { traceparent: `00-${traceId}-${spanId}-01`, tracestate: 'vendor=1', baggage: 'team=blue' }

    await callTool(line, 'witness', {}, { meta })
    const session = await openSession(line)
    await session.ask('tools/call', { name: 'witness', arguments: {}, _meta: meta })
    const { records } = await house.gatehouse.audit.search({ traceId })

    const sent = witness.seen.map(({ _meta }) => (isJsonObject(_meta) ? _meta : {}))
    expect(sent).toHaveLength(2)
    for (const one of sent) {
      expect(one['traceparent']).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`))
      expect(one['traceparent']).not.toContain(spanId)
      expect(one).toMatchObject({ tracestate: 'vendor=1', baggage: 'team=blue' })
    }
    expect(records).toHaveLength(2)
  },
)
