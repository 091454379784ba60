import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { callText, connectStdio } from './connect.ts'
import { stdioCommand } from './stdio-programs.ts'

describe('the stdio programs', () => {
  test.for(['legacy', 'modern'] as const)('the counter counts for its process, %s', async (era) => {
    await using client = await connectStdio(stdioCommand('counter', `--era=${era}`), era)

    const counted = [await callText(client, 'increment'), await callText(client, 'increment')]

    expect(counted).toEqual(['1', '2'])
    expect(Number(await callText(client, 'pid'))).toBe(client.pid)
  })

  test('garbage before the handshake does not keep it from working', async () => {
    await using client = await connectStdio(stdioCommand('garbage'))

    expect(await callText(client, 'echo', { text: 'still here' })).toBe('still here')
  })

  test('a crash takes the call with it', async () => {
    await using client = await connectStdio(stdioCommand('crash', '--after=1'))

    const first = await callText(client, 'echo', { text: 'a' })

    expect(first).toBe('a')
    await expect(callText(client, 'echo', { text: 'b' })).rejects.toThrow(/closed/i)
  })

  test('slow calls are slow, and answered', async () => {
    await using client = await connectStdio(stdioCommand('slow', '--call-ms=100'))
    const startedAt = performance.now()

    await callText(client, 'echo', { text: 'a' })

    expect(performance.now() - startedAt).toBeGreaterThan(90)
  })

  test('the stubborn one outlives SIGTERM and the end of its stdin', async () => {
    const [command, ...args] = stdioCommand('hang', '--stubborn')
    const child = spawn(command, args, { stdio: ['pipe', 'ignore', 'pipe'] })
    expect(String(await once(child.stderr, 'data'))).toBe('ready\n')

    child.stdin.end()
    child.kill('SIGTERM')

    expect(String(await once(child.stderr, 'data'))).toBe('SIGTERM ignored\n')
    expect(child.exitCode).toBeNull()

    child.kill('SIGKILL')
    await once(child, 'exit')
  })

  // Linux only: it looks into /proc. A zombie still has an entry there, so its state is not asked for here.
  test.skipIf(!existsSync('/proc/self'))('a grandchild outlives a parent that is killed', async () => {
    const client = await connectStdio(stdioCommand('grandchild'))
    const grandchild = Number(await callText(client, 'echo'))

    process.kill(client.pid, 'SIGKILL')
    await client.close()

    expect(existsSync(`/proc/${grandchild}`)).toBe(true)
    process.kill(grandchild, 'SIGKILL')
  })
})
