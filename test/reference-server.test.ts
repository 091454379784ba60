import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { afterAll, beforeAll, expect, test } from 'vitest'

const PROGRAM = join(import.meta.dirname, '../examples/reference-server/server.ts')
let server: ChildProcess
let url: URL

beforeAll(async () => {
  const env = { ...process.env, PORT: '0' }
  const started = spawn(process.execPath, [PROGRAM], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(createInterface({ input: started.stdout }), 'line')
  server = started
  url = new URL(String(line).split(' ').at(-1) ?? '')
})
afterAll(() => server.kill())

const headers = { 'gatehouse-user-id': 'alice@example.com', authorization: 'Bearer hush' }
const overHttp = () => new StreamableHTTPClientTransport(url, { requestInit: { headers } })
const overStdio = () => new StdioClientTransport({ command: process.execPath, args: [PROGRAM, '--stdio'] })
const MODERN = { pin: '2026-07-28' } as const

test.for([
  { name: 'HTTP, session era', transport: overHttp, mode: 'legacy', era: 'legacy' },
  { name: 'HTTP, newest revision', transport: overHttp, mode: MODERN, era: 'modern' },
  { name: 'stdio, session era', transport: overStdio, mode: 'legacy', era: 'legacy' },
  { name: 'stdio, newest revision', transport: overStdio, mode: MODERN, era: 'modern' },
] as const)('the example server answers over $name', async ({ transport, mode, era }) => {
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode } })
  await client.connect(transport())

  const { tools } = await client.listTools()
  const sum = await client.callTool({ name: 'add', arguments: { a: 2, b: 3 } })
  const me = await client.callTool({ name: 'whoami', arguments: {}, _meta: { 'example/note': 'hi' } })

  expect(tools.map((tool) => tool.name)).toEqual(['echo', 'add', 'whoami'])
  expect(sum.structuredContent).toEqual({ sum: 5 })
  expect(me.structuredContent).toMatchObject({ era, meta: { 'example/note': 'hi' } })
  await client.close()
})

test('the example server shows the identity headers it was sent, never a token', async () => {
  const client = new Client({ name: 'test', version: '1' })
  await client.connect(overHttp())

  const me = await client.callTool({ name: 'whoami', arguments: {} })

  expect(me.structuredContent).toMatchObject({
    headers: { 'gatehouse-user-id': 'alice@example.com', authorization: '(present, not shown)' },
  })
  expect(JSON.stringify(me)).not.toContain('hush')
  await client.close()
})

test('a call with wrong arguments is a tool error', async () => {
  const client = new Client({ name: 'test', version: '1' })
  await client.connect(overHttp())

  expect(await client.callTool({ name: 'add', arguments: { a: 'two' } })).toMatchObject({ isError: true })
  await client.close()
})
