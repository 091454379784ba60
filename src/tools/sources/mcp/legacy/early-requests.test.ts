import { expect, test } from 'vitest'
import { serverConfig } from '../../../config.ts'
import { createMcpSource } from '../index.ts'
import { disposable, testDeps, type Heard } from '../testing.ts'

/** A server that speaks before it has introduced itself. */
const PROGRAM = `
  const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n')
  let initialize, pongs = 0
  require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
    const { id, method, result } = JSON.parse(line)
    if (method === 'server/discover') return say({ id, error: { code: -32601, message: 'no' } })
    if (method === 'initialize') {
      for (let n = 0; n < 1000; n++) say({ id: 'early-' + n, method: n % 2 ? 'ping' : 'roots/list' })
      return say({ id, result: { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: {} } })
    }
    if (String(id).startsWith('early-')) return void pongs++
    if (method === 'tools/list') say({ id, result: { tools: [{ name: 'heard-' + pongs, inputSchema: {} }] } })
  })
`
const ECHO = 'process.stdin.pipe(process.stdout)'

function programSource(program: string, start_timeout_ms: number) {
  const config = serverConfig.parse({
    transport: 'stdio',
    name: 'early',
    command: [process.execPath, '-e', program],
    start_timeout_ms,
  })
  if (config.transport !== 'stdio') throw new Error('not a stdio server')
  const heard: Heard = { listChanged: 0, connection: [] }
  return disposable(createMcpSource({ config, trusted: true }, testDeps(heard)), heard)
}

test('the first of the requests that come before the handshake are answered after it, the rest never', async () => {
  await using source = programSource(PROGRAM, 3_000)

  const { tools } = await source.sync(new AbortController().signal)

  expect(tools).toEqual([{ name: 'heard-8', inputSchema: {} }])
})

test('a program that only echoes is a server that does not answer', async () => {
  await using source = programSource(ECHO, 400)

  await expect(source.sync(AbortSignal.timeout(2_000))).rejects.toThrow('early')
})
