import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { serverConfig, type StdioServerConfig } from '../../config.ts'
import { createMcpSource } from './index.ts'
import {
  caller,
  disposable,
  inputOf,
  testDeps,
  testPort,
  textOf,
  toolCall,
  type Heard,
  type TestSource,
} from './testing.ts'

const EVERYTHING = fileURLToPath(import.meta.resolve('@modelcontextprotocol/server-everything/dist/index.js'))
const MODERN = join(import.meta.dirname, 'testing-modern-stdio.ts')
const never = new AbortController().signal

function stdioSource(args: readonly string[], more: Partial<StdioServerConfig> = {}): TestSource {
  const config = serverConfig.parse({
    transport: 'stdio',
    name: 'program',
    command: [process.execPath, ...args],
    ...more,
  })
  if (config.transport !== 'stdio') throw new Error('not a stdio server')
  const heard: Heard = { listChanged: 0, connection: [] }
  return disposable(createMcpSource({ config, trusted: true }, testDeps(heard)), heard)
}

describe('a program of the session era', () => {
  test('lists, answers and reports progress in one process', async () => {
    await using source = stdioSource([EVERYTHING, 'stdio'])
    const port = testPort()

    const offer = await source.sync(never)
    const session = caller({ clientCapabilities: {} })
    const args = { duration: 0.2, steps: 2 }
    const reply = await source.call(
      toolCall('trigger-long-running-operation', args, { session, wantsProgress: true }),
      port,
    )

    expect(offer.era).toBe('legacy')
    expect(textOf(reply)).toContain('completed')
    expect(port.progressed).toEqual([
      { progress: 1, total: 2 },
      { progress: 2, total: 2 },
    ])
  })

  test('asks the caller of its only call', async () => {
    await using source = stdioSource([EVERYTHING, 'stdio'], { isolation: 'session' })
    const call = toolCall('trigger-elicitation-request')

    const asked = inputOf(await source.call(call, testPort()))
    const [key = ''] = Object.keys(asked.requests)
    const inputResponses = { [key]: { action: 'decline' } }
    const reply = await source.call({ ...call, state: asked.state, inputResponses }, testPort())

    expect(textOf(reply)).toContain('declined')
  })

  test('with room for one process the probe makes way for callers', async () => {
    await using source = stdioSource([EVERYTHING, 'stdio'], { isolation: 'session', max_processes: 1 })

    await source.sync(never)
    const reply = await source.call(toolCall('echo', { message: 'x' }), testPort())

    expect(textOf(reply)).toBe('Echo: x')
    expect(source.usage().processes).toBe(1)
  })

  test('users have processes of their own, sessions of one user share', async () => {
    await using source = stdioSource([EVERYTHING, 'stdio'])
    const bob = caller({ key: 'bob-1', userId: 'bob@example.com' })

    await source.call(toolCall('echo', { message: '1' }), testPort())
    await source.call(toolCall('echo', { message: '2' }, { session: caller({ key: 'session-2' }) }), testPort())
    await source.call(toolCall('echo', { message: '3' }, { session: bob }), testPort())

    expect(source.usage().processes).toBe(2)
  })
})

describe('a program of the stateless era', () => {
  test('lists and answers, with progress, in a process for each user', async () => {
    await using source = stdioSource([MODERN])
    const port = testPort()
    const bob = caller({ key: 'bob-1', userId: 'bob@example.com' })

    const offer = await source.sync(never)
    const first = textOf(await source.call(toolCall('pid', {}, { wantsProgress: true }), port))
    const again = textOf(await source.call(toolCall('pid'), testPort()))
    const other = textOf(await source.call(toolCall('pid', {}, { session: bob }), testPort()))

    expect(offer.era).toBe('modern')
    expect(first).toBe(again)
    expect(other).not.toBe(first)
    expect(port.progressed).toEqual([{ progress: 1 }])
  })
})
