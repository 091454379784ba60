import { mkdtemp, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { isJsonObject, type JsonObject } from '#kernel'
import { callTool, createStage, scriptedConfig, valueOf } from './testing/open-scripted.ts'
import type { Link } from '../link.ts'

const CLIENT = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } }

test.for([
  { server: 'filesystem', args: [tmpdir()], tool: 'read_text_file' },
  { server: 'memory', args: [], tool: 'read_graph' },
  { server: 'everything', args: ['stdio'], tool: 'echo' },
])('the published $server server starts, lists its tools and stops', async ({ server, args, tool }) => {
  await using stage = createStage()
  const link = await stage.open(scriptedConfig('', { command: [process.execPath, programOf(server), ...args] }))

  const { serverInfo } = await initialize(link)
  const { tools } = await request(link, 'tools/list', {})

  expect(isJsonObject(serverInfo) && serverInfo['name']).toBeTypeOf('string')
  expect(tools).toContainEqual(expect.objectContaining({ name: tool }))
  await link.close()
  expect(stage.supervisor.running()).toEqual([])
})

test('a file is read through the published filesystem server', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'gatehouse-stdio-'))
  await writeFile(join(directory, 'a.txt'), 'hello')
  await using stage = createStage()
  const command = [process.execPath, programOf('filesystem'), directory]
  const link = await stage.open(scriptedConfig('', { command }))
  await initialize(link)

  const result = await valueOf(callTool(link, 'read_text_file', { path: join(directory, 'a.txt') }))

  expect(result).toMatchObject({ content: [{ type: 'text', text: 'hello' }] })
})

async function initialize(link: Link): Promise<JsonObject> {
  const answer = await request(link, 'initialize', CLIENT)
  await link.send({ method: 'notifications/initialized' })
  return answer
}

function request(link: Link, method: string, params: JsonObject): Promise<JsonObject> {
  return valueOf(link.request({ method, params, signal: new AbortController().signal }))
}

function programOf(server: string): string {
  const manifest = createRequire(import.meta.url).resolve(`@modelcontextprotocol/server-${server}/package.json`)
  return join(dirname(manifest), 'dist/index.js')
}
