import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import type { JsonObject } from '#kernel'
import { startEverything } from '../../src/tools/sources/mcp/testing-everything.ts'
import { clientKinds, connect, type MatrixClient } from './matrix/clients.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { textOf } from './talk.ts'

/** The published reference servers behind one gateway, and the published clients before it. */

const everythings = ['ev-stdio', 'ev-http', 'ev-sse'] as const
const servers = [...everythings, 'files', 'memory'] as const
const cleanUp = new AsyncDisposableStack()
let house: TestHouse
let directory: string
let key: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gatehouse-real-'))
  cleanUp.defer(() => rm(directory, { recursive: true, force: true }))
  await writeFile(join(directory, 'a.txt'), 'hello from a file')
  const http = cleanUp.use(await startEverything('streamableHttp'))
  const sse = cleanUp.use(await startEverything('sse'))
  house = cleanUp.use(
    await startHouse({
      toml: [
        program('ev-stdio', ['everything', 'stdio']),
        `[[servers]]\nname = "ev-http"\ntransport = "http"\nurl = "${http.url}"`,
        `[[servers]]\nname = "ev-sse"\ntransport = "http"\nurl = "${sse.url}"`,
        program('files', ['filesystem', directory]),
        `${program('memory', ['memory'])}\nenv = { MEMORY_FILE_PATH = "${join(directory, 'memory.json')}" }`,
        `[[gateways]]\nslug = "real"\ntools = ${JSON.stringify(servers.map((name) => `${name}/*`))}`,
      ].join('\n'),
    }),
  )
  await house.listed()
  key = await house.createKey({ user: 'ada@example.com', gateway: 'real' })
}, 60_000)
afterAll(() => cleanUp.disposeAsync())

const url = () => `${house.url}/mcp/real`
const headers = () => ({ authorization: `Bearer ${key}` })
/** The name of a server's tool in the gateway. */
function tool(server: string, original: string): string {
  const tools = house.gatehouse.house.snapshot().views.get('real')?.toolByName ?? new Map()
  for (const [name, bound] of tools) if (bound.server === server && bound.original === original) return name
  throw new Error(`"${server}" has no tool "${original}"`)
}

test('all five are healthy, in the era they speak', () => {
  const known = house.gatehouse.house.servers().map((server) => {
    const { state, era } = server.health()
    return [server.config.name, { state, era }] as const
  })

  expect(Object.fromEntries(known)).toEqual({
    'ev-stdio': { state: 'healthy', era: 'legacy' },
    'ev-http': { state: 'healthy', era: 'legacy' },
    'ev-sse': { state: 'healthy', era: 'sse' },
    files: { state: 'healthy', era: 'legacy' },
    memory: { state: 'healthy', era: 'legacy' },
  })
})

describe.each(clientKinds.map((kind) => ({ kind })))('$kind', ({ kind }) => {
  let client: MatrixClient
  beforeAll(async () => {
    client = await connect(kind, { url: url(), headers: headers() })
  })
  afterAll(() => client.close())
  const call = async (name: string, args: JsonObject = {}) => textOf({ result: await client.callTool(name, args) })

  test('sees the tools of all servers, each under a name of its own', async () => {
    const { tools } = z
      .object({ tools: z.array(z.object({ name: z.string() })) })
      .parse(await client.request('tools/list'))
    const names = tools.map(({ name }) => name)

    expect(new Set(names).size).toBe(names.length)
    expect(names).toEqual(expect.arrayContaining(['echo', tool('ev-http', 'echo'), tool('ev-sse', 'echo')]))
    expect(names).toEqual(expect.arrayContaining(['read_text_file', 'read_graph']))
    expect(client.version).toBe(client.era === 'modern' ? '2026-07-28' : '2025-11-25')
  })

  test.each(everythings)('%s: calls, is asked, hears progress and reads', async (server) => {
    const steps: number[] = []
    client.asked.clear()

    const echoed = await call(tool(server, 'echo'), { message: 'hello' })
    const sampled = await call(tool(server, 'trigger-sampling-request'), { prompt: 'hi', maxTokens: 10 })
    const filled = await call(tool(server, 'trigger-elicitation-request'))
    const long = await client.callTool(
      tool(server, 'trigger-long-running-operation'),
      { duration: 0.2, steps: 2 },
      { onprogress: ({ progress }) => steps.push(progress) },
    )
    const { contents } = await client.request('resources/read', { uri: await resourceOf(client) })

    expect(echoed).toBe('Echo: hello')
    expect(sampled).toContain('a sampled answer')
    expect(filled).toContain('provided the requested information')
    expect(client.asked.entries.map(({ method }) => method)).toEqual(
      expect.arrayContaining(['sampling/createMessage', 'elicitation/create']),
    )
    expect(textOf({ result: long })).toContain('completed')
    // Soon after it was greeted this server asks for roots by itself, and a stateless caller hears nothing between rounds.
    expect(steps[0]).toBe(1)
    expect(contents).toHaveLength(1)
  })

  test('reads a file', async () => {
    expect(await call('read_text_file', { path: join(directory, 'a.txt') })).toBe('hello from a file')
  })

  test('a file outside is refused by its server, as a tool error', async () => {
    const result = await client.callTool('read_text_file', { path: '/etc/hostname' })

    expect(result['isError']).toBe(true)
    expect(textOf({ result })).toContain('Access denied')
  })

  test('remembers', async () => {
    const entity = { name: kind, entityType: 'client', observations: ['was here'] }
    await client.callTool('create_entities', { entities: [entity] })
    const graph = await client.callTool('read_graph')

    expect(JSON.stringify(graph['structuredContent'])).toContain(kind)
  })
})

describe.each([{ era: 'legacy' }, { era: 'modern' }])('the Inspector in the $era era', ({ era }) => {
  const inspect = (...args: string[]) => runInspector(['--protocol-era', era, ...args])

  test('lists tools', async () => {
    const listed = JSON.stringify(await inspect('--method', 'tools/list'))

    expect(['echo', 'read_text_file', 'read_graph'].filter((name) => !listed.includes(`"name":"${name}"`))).toEqual([])
  })

  test.each([
    { name: 'echo', args: { message: 'hi' }, says: 'Echo: hi' },
    { name: 'get-sum', args: { a: 2, b: 3 }, says: '5' },
  ])('calls $name', async ({ name, args, says }) => {
    const result = await inspect(
      '--method',
      'tools/call',
      '--tool-name',
      name,
      '--tool-args-json',
      JSON.stringify(args),
    )

    expect(JSON.stringify(result)).toContain(says)
  })

  test.each(['resources/list', 'prompts/list'])('asks for %s', async (method) => {
    expect(JSON.stringify(await inspect('--method', method))).toContain('"name"')
  })

  test('is told of an unknown tool by exit code 5', async () => {
    await expect(inspect('--method', 'tools/call', '--tool-name', 'no_such_tool')).rejects.toMatchObject({ code: 5 })
  })
})

test('the Inspector without a key is refused', async () => {
  const call = runInspector(['--method', 'tools/list', '--header', 'Authorization: Bearer nobody'])

  await expect(call).rejects.toMatchObject({ code: 3 })
})

async function resourceOf(client: MatrixClient): Promise<string> {
  const { resources } = z
    .object({ resources: z.array(z.object({ uri: z.string() })) })
    .parse(await client.request('resources/list'))
  return resources[0]?.uri ?? ''
}

async function runInspector(args: readonly string[]): Promise<unknown> {
  const binary = join(import.meta.dirname, '../../node_modules/.bin/mcp-inspector')
  const auth = args.includes('--header') ? [] : ['--header', `Authorization: Bearer ${key}`]
  const all = ['--cli', url(), '--transport', 'http', '--format', 'json', '-q', '--stored-auth-only', ...auth, ...args]
  const env = { PATH: process.env['PATH'], MCP_STORAGE_DIR: directory, NO_COLOR: '1' }
  const { stdout } = await promisify(execFile)(process.execPath, [binary, ...all], { env, timeout: 30_000 })
  return JSON.parse(stdout)
}

function program(name: string, [server = '', ...args]: readonly string[]): string {
  const manifest = createRequire(import.meta.url).resolve(`@modelcontextprotocol/server-${server}/package.json`)
  const command = [process.execPath, join(dirname(manifest), 'dist/index.js'), ...args]
  return `[[servers]]\nname = "${name}"\ntransport = "stdio"\ncommand = ${JSON.stringify(command)}`
}
