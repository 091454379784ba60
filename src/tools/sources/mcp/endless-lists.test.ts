import type { ServerResponse } from 'node:http'
import { expect, test } from 'vitest'
import { createEgress } from '#http'
import { serverConfig, type ServerConfig } from '../../config.ts'
import { LIST_LIMITS } from '../../catalog/list-limits.ts'
import { createSource } from '../index.ts'
import { disposable, openEvents, rawServer, sendJson, sendResult, testDeps, type TestSource } from './testing.ts'

/** Servers whose list of tools has no end: each is cut off while it is read, long before `max_result_bytes`. */

const MIB = 1_048_576
const ROOM = 24 * MIB // for what waits in the buffers of both ends

function sourceOf(config: object): TestSource {
  const heard = { listChanged: 0, connection: [] }
  const parsed: ServerConfig = serverConfig.parse({ name: 'endless', ...config })
  return disposable(
    createSource({ config: parsed, trusted: true }, { ...testDeps(heard), egress: createEgress() }),
    heard,
  )
}

/** Writes until nobody reads any more, and counts. */
function pour(res: ServerResponse, beginning: string, sent: { bytes: number }): void {
  const chunk = Buffer.alloc(65_536, 'x')
  res.write(beginning)
  const more = (): void => {
    while (!res.destroyed && sent.bytes < 1_024 * MIB) {
      sent.bytes += chunk.length
      if (!res.write(chunk)) return void res.once('drain', more)
    }
  }
  more()
}

const TOOLS = '"result":{"tools":[{"name":"'
const CAPABLE = { capabilities: { tools: {} }, serverInfo: { name: 'endless', version: '1' } }

async function endlessServer(era: 'modern' | 'legacy' | 'sse', framing: 'json' | 'sse', sent: { bytes: number }) {
  let stream: ServerResponse | undefined
  return rawServer(({ req, res, body }) => {
    const { id, method } = body
    if (era === 'sse' && req.method === 'GET') {
      stream = res
      res.writeHead(200, { 'content-type': 'text/event-stream' })
      return void res.write('event: endpoint\ndata: /messages\n\n')
    }
    if (era === 'sse' && req.url === '/mcp') return sendJson(res, 405, {})
    if (req.method !== 'POST') return sendJson(res, 405, {})
    const reply = (result: object): void => {
      if (era !== 'sse') return sendResult(res, id, result)
      res.writeHead(202).end()
      stream?.write(`data: ${JSON.stringify({ jsonrpc: '2.0', id, result })}\n\n`)
    }
    switch (method) {
      case 'server/discover':
        if (era !== 'modern') return sendJson(res, 400, { jsonrpc: '2.0', id, error: { code: -32601, message: 'no' } })
        return reply({
          ...CAPABLE,
          supportedVersions: ['2026-07-28'],
          resultType: 'complete',
          ttlMs: 0,
          cacheScope: 'private',
        })
      case 'initialize':
        return reply({ ...CAPABLE, protocolVersion: era === 'sse' ? '2024-11-05' : '2025-11-25' })
      case 'tools/list': {
        const beginning = `{"jsonrpc":"2.0","id":${JSON.stringify(id)},${TOOLS}`
        if (era === 'sse') {
          res.writeHead(202).end()
          if (stream !== undefined) pour(stream, `data: ${beginning}`, sent)
          return
        }
        if (framing === 'json') {
          res.writeHead(200, { 'content-type': 'application/json' })
          return pour(res, beginning, sent)
        }
        openEvents(res)
        return pour(res, `data: ${beginning}`, sent)
      }
      case undefined:
      default:
        return void res.writeHead(202).end()
    }
  })
}

test.each([
  ['modern', 'json'],
  ['modern', 'sse'],
  ['legacy', 'json'],
  ['legacy', 'sse'],
  ['sse', 'sse'],
] as const)('a server of the kind %s that answers as %s', async (era, framing) => {
  const sent = { bytes: 0 }
  await using server = await endlessServer(era, framing, sent)
  await using source = sourceOf({ transport: 'http', url: server.url })

  const listed = source.sync(AbortSignal.timeout(20_000))

  await expect(listed).rejects.toThrow(`lists more than ${LIST_LIMITS.pageBytes} bytes on one page`)
  expect(sent.bytes).toBeLessThan(ROOM)
})

test('a worker', async () => {
  const sent = { bytes: 0 }
  await using server = await rawServer(({ req, res }) => {
    if (req.url?.endsWith('/health') === true) return sendJson(res, 200, { status: 'ok', tool_count: '1' })
    res.writeHead(200, { 'content-type': 'application/json' })
    pour(res, '[{"name":"', sent)
  })
  await using source = sourceOf({ transport: 'worker', url: server.url.replace('/mcp', ''), secret: 's'.repeat(32) })

  const listed = source.sync(AbortSignal.timeout(20_000))

  await expect(listed).rejects.toThrow(`lists more than ${LIST_LIMITS.bytes} bytes`)
  expect(sent.bytes).toBeLessThan(LIST_LIMITS.bytes + ROOM)
})

/** Answers as a server of the session era, and a list with `line`; then everything else. */
const program = (list: string): string => `
  const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n')
  require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
    const { id, method } = JSON.parse(line)
    if (method === 'server/discover') say({ id, error: { code: -32601, message: 'no' } })
    if (method === 'initialize') say({ id, result: { ...${JSON.stringify(CAPABLE)}, protocolVersion: '2025-11-25' } })
    if (method === 'tools/list') { ${list} }
  })`

test.each([
  [
    'whose line ends',
    'process.stdout.write(\'{"jsonrpc":"2.0","id":\' + id + \',"result":{"tools":[{"name":"\' + \'x\'.repeat(6e6) + \'"}]}}\\n\')',
    `lists more than ${LIST_LIMITS.pageBytes} bytes on one page`,
  ],
  [
    'whose line does not end',
    "const pour = () => process.stdout.write('x'.repeat(65536), pour); pour()",
    'sent a message of more than 16777216 bytes',
  ],
])('a program %s', async (_what, list, reason) => {
  await using source = sourceOf({ transport: 'stdio', command: [process.execPath, '-e', program(list)] })

  await expect(source.sync(AbortSignal.timeout(20_000))).rejects.toThrow(reason)
})
