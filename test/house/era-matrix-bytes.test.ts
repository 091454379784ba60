import { afterEach, describe, expect, test } from 'vitest'
import * as z from 'zod'
import type { JsonObject } from '#kernel'
import { startCatalogueServer } from '../fakes/catalogue-server.ts'
import { clientKinds, connect } from './matrix/clients.ts'
import { lineOf } from './kit.ts'
import { startHouse } from './start-house.ts'
import { ask, openSession, type Line } from './talk.ts'

/** What a server says of its tools, and what they answer, goes through as it was said. */

const eras = ['legacy', 'modern'] as const
const ways = eras.flatMap((client) => eras.map((upstream) => ({ client, upstream })))

let parts = new AsyncDisposableStack()
afterEach(async () => {
  await parts.disposeAsync()
  parts = new AsyncDisposableStack()
})

async function lineTo(server: Parameters<typeof startCatalogueServer>[0]): Promise<Line> {
  const upstream = parts.use(await startCatalogueServer(server))
  const toml = `
    [[servers]]
    name = "odd"
    transport = "http"
    url = "${upstream.url}"

    [[gateways]]
    slug = "demo"
    tools = ["odd/*"]
  `
  const house = parts.use(await startHouse({ toml }))
  await house.listed()
  return await lineOf(house, 'ada@example.com')
}

async function say(line: Line, era: 'legacy' | 'modern', { method, params }: { method: string; params?: JsonObject }) {
  if (era === 'modern') return await ask(line, method, params)
  return await (await openSession(line)).ask(method, params)
}

/** Keywords of 2020-12, references, every kind of extra member, and text outside of ASCII. */
const strange: JsonObject = {
  name: 'strange',
  title: 'Seltsam – 奇妙',
  description: 'Line one\nline two \u2028 and a "quote"',
  icons: [{ src: 'https://example.com/i.svg', mimeType: 'image/svg+xml', sizes: ['any'], theme: 'dark', more: 1 }],
  inputSchema: {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'https://example.com/strange.json',
    $defs: { node: { $anchor: 'n', type: 'object', properties: { next: { $ref: '#/$defs/node' } } } },
    type: 'object',
    properties: {
      tree: { $ref: '#n', description: 'recursive' },
      list: { type: 'array', prefixItems: [{ const: 1 }, { enum: ['a', null, 2.5] }], items: false },
      any: true,
      'x-über': { type: ['string', 'null'], default: null, examples: ['\u0000', '🙂'] },
    },
    dependentRequired: { tree: ['list'] },
    unevaluatedProperties: { type: 'number', exclusiveMinimum: -1.5e-7 },
    'x-vendor': { deep: [[[{ a: {} }]]] },
  },
  outputSchema: { type: 'object', anyOf: [{ required: ['a'] }, { required: ['b'] }], $comment: 'kept' },
  annotations: { readOnlyHint: false, title: 'old title', unknownHint: { yes: true } },
  execution: { taskSupport: 'forbidden', future: 'member' },
  _meta: { ui: { visibility: ['app'] }, 'com.example/x': { a: [1, 2, 3] } },
  futureMember: { nested: ['kept'] },
}

describe.each(ways)('$client client → $upstream server', ({ client, upstream }) => {
  test('a definition arrives byte for byte', async () => {
    const line = await lineTo({ era: upstream, tools: [strange] })

    const { text } = await say(line, client, { method: 'tools/list' })

    expect(text).toContain(JSON.stringify(strange))
  })

  test('a result keeps what no one here knows, and its numbers and spaces as they were written', async () => {
    const content = '{ "content": [ {"type":"hologram","big":12345678901234567890,"exact":1.0,"2":1,"1":2} ]'
    const line = await lineTo({
      era: upstream,
      tools: [strange],
      result: `${content},"_meta":{"com.example/y":1.50},"extra":[1.0]}`,
    })

    const { text } = await say(line, client, { method: 'tools/call', params: { name: 'strange', arguments: {} } })

    expect(text).toContain('[ {"type":"hologram","big":12345678901234567890,"exact":1.0,"2":1,"1":2} ]')
    expect(text).toContain('"com.example/y":1.50')
    expect(text).toContain('"extra":[1.0]')
  })
})

describe.each(eras.map((era) => ({ era })))('2,500 tools of a $era server', ({ era }) => {
  const tools = Array.from({ length: 2_500 }, (_, n) => ({
    name: `tool_${String(n).padStart(4, '0')}`,
    inputSchema: { type: 'object' },
  }))
  const names = tools.map(({ name }) => name)
  const listed = z.object({ tools: z.array(z.object({ name: z.string() })), nextCursor: z.string().optional() })

  test.each(clientKinds)('%s pages through all of them, in a stable order', async (kind) => {
    const line = await lineTo({ era, tools })
    const headers = { authorization: `Bearer ${line.key}` }
    await using client = await connect(kind, { url: line.url, headers })

    const first = listed.parse(await client.request('tools/list'))
    const second = listed.parse(await client.request('tools/list', { cursor: first.nextCursor ?? '' }))
    const third = listed.parse(await client.request('tools/list', { cursor: second.nextCursor ?? '' }))

    const pages = [first, second, third]
    expect(pages.flatMap((page) => page.tools.map(({ name }) => name))).toEqual(names)
    expect(third.nextCursor).toBeUndefined()
  })
})
