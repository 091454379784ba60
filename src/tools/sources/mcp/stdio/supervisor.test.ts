import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { adminReasonOf } from '../../../servers/reason.ts'
import { callTool, createStage, eventually, scriptedConfig, valueOf } from './testing/open-scripted.ts'
import { isAlive } from './testing/processes.ts'

const reasonFor = (opening: Promise<unknown>) => opening.then(() => 'opened', adminReasonOf)
const HASTE = { stdinMs: 200, termMs: 200 }

describe('starting', () => {
  const directory = tmpdir()
  test.for([
    { name: 'unknown command', settings: { command: ['no-such-cmd'] }, says: 'there is no command "no-such-cmd"' },
    { name: 'a directory', settings: { command: [directory] }, says: 'may not be executed' },
    { name: 'a missing cwd', settings: { cwd: join(directory, 'none-here') }, says: 'none-here" does not exist' },
  ])('$name is refused with the reason', async ({ settings, says }) => {
    await using stage = createStage()

    expect(await reasonFor(stage.open(scriptedConfig('plain', settings)))).toContain(says)

    expect(stage.supervisor.running()).toEqual([])
  })

  test('a command that ends at once fails the first request with its last words, less its secrets', async () => {
    await using stage = createStage()
    const link = await stage.open(scriptedConfig('exit', { env: { SECRET_KEY: 'sk-12345' } }))

    const call = callTool(link, 'echo')

    const error: unknown = await call.catch((reason: unknown) => reason)
    expect(String(error)).toMatch(/server "scripted" exited with code 3$/)
    expect(adminReasonOf(error)).toMatch(
      /exited with code 3; its last words: cannot start: no licence, key is \[secret\]/,
    )
  })

  test('arguments never pass through a shell', async () => {
    await using stage = createStage()
    const config = scriptedConfig('$(exit 1); exit 2')

    const link = await stage.open(config)

    expect(await valueOf(callTool(link, 'echo'))).toEqual({ given: {} })
  })

  test('never more than max_processes run, and what runs is known', async () => {
    await using stage = createStage()
    const config = scriptedConfig('plain', { max_processes: 2 })

    const opened = await Promise.allSettled([stage.open(config, 'a'), stage.open(config, 'b'), stage.open(config, 'c')])

    expect(opened.map((one) => one.status)).toEqual(['fulfilled', 'fulfilled', 'rejected'])
    expect(stage.supervisor.running()).toMatchObject([
      { server: 'scripted', key: 'a', startedAt: 1_000_000 },
      { server: 'scripted', key: 'b' },
    ])
  })

  test('an aborted start leaves no process', async () => {
    await using stage = createStage()
    const abort = new AbortController()
    const open = stage.supervisor.openLink(scriptedConfig())

    const opening = open({ key: 'k', signal: abort.signal, events: { message() {} } })
    abort.abort()

    await expect(opening).rejects.toMatchObject({ kind: { code: 'tools/cancelled' } })
    expect(stage.supervisor.running()).toEqual([])
  })
})

describe('resting after failures', () => {
  test('a server whose start fails again and again is refused until its next try', async () => {
    await using stage = createStage()
    const missing = scriptedConfig('plain', { command: ['no-such-cmd'] })
    expect(await reasonFor(stage.open(missing))).toContain('there is no command')
    stage.clock.ms += 500
    expect(await reasonFor(stage.open(missing))).toContain('there is no command')
    stage.clock.ms += 1_000
    expect(await reasonFor(stage.open(missing))).toContain('there is no command')

    const refused = stage.open(missing)

    expect(await reasonFor(refused)).toMatch(/failed 3 times in a row .* the last time: .* no command/)
    await expect(refused).rejects.not.toThrow(/no command|no-such-cmd/)
    await expect(refused).rejects.toMatchObject({ kind: { code: 'tools/circuit-open' } })
    stage.clock.ms += 2_000
    expect(await stage.open(scriptedConfig())).toBeDefined()
  })

  test('a short rest is waited for', async () => {
    await using stage = createStage()
    expect(await reasonFor(stage.open(scriptedConfig('plain', { command: ['no-such-cmd'] })))).toContain('no command')

    const link = await stage.open(scriptedConfig())

    expect(await valueOf(callTool(link, 'echo'))).toEqual({ given: {} })
  })

  test('the crashes of one caller do not make another wait', async () => {
    await using stage = createStage({ patience: HASTE })
    for (const _ of [1, 2, 3]) {
      const link = await stage.open(scriptedConfig(), 'alice')
      await callTool(link, 'echo')
      await expect(callTool(link, 'crash')).rejects.toThrow('code 7')
      stage.clock.ms += 1_900
    }
    stage.clock.ms -= 1_900

    await expect(stage.open(scriptedConfig(), 'alice')).rejects.toMatchObject({ kind: { code: 'tools/circuit-open' } })
    expect(await stage.open(scriptedConfig(), 'bob')).toBeDefined()
  })

  test('a server that never answered within its start time counts as failed when it is closed', async () => {
    await using stage = createStage({ patience: HASTE })
    const mute = scriptedConfig('mute', { start_timeout_ms: 5_000 })
    for (const _ of [1, 2]) {
      const link = await stage.open(mute)
      stage.clock.ms += 5_000
      await link.close()
    }

    stage.clock.ms -= 4_999
    expect(await reasonFor(stage.open(mute))).toContain('it did not answer after its start')
  })

  test('a link that is closed in good order is no failure', async () => {
    await using stage = createStage()
    const link = await stage.open()
    await callTool(link, 'echo')

    await link.close()

    expect(await link.closed).toContain('was stopped by the gateway')
    expect(stage.log.lines.map((line) => line.message)).toEqual(['started', 'stopped'])
    await expect(callTool(link, 'echo')).rejects.toThrow('was stopped by the gateway')
  })
})

describe.runIf(process.platform === 'linux')('stopping', () => {
  test('takes the descendants with it, in the group and outside of it', async () => {
    await using stage = createStage({ patience: HASTE })
    const link = await stage.open()
    const pids = pidsIn(await valueOf(callTool(link, 'children')))
    expect(pids.map(isAlive)).toEqual([true, true])

    await link.close()

    await eventually(() => !pids.some(isAlive))
  })

  test('a crash takes the descendants with it too', async () => {
    await using stage = createStage({ patience: HASTE })
    const link = await stage.open()
    const pids = pidsIn(await valueOf(callTool(link, 'children')))

    await expect(callTool(link, 'crash')).rejects.toThrow('exited with code 7')

    await eventually(() => !pids.some(isAlive))
    await eventually(() => stage.supervisor.running().length === 0)
  })

  test('a process that ignores stdin and SIGTERM is killed', async () => {
    await using stage = createStage({ patience: HASTE })
    const link = await stage.open(scriptedConfig('stubborn'))
    await callTool(link, 'echo')
    const pid = stage.supervisor.running()[0]?.pid ?? 0

    await link.close()

    expect(isAlive(pid)).toBe(false)
  })

  test('a hang in initialize ends with the link', async () => {
    await using stage = createStage({ patience: HASTE })
    const link = await stage.open(scriptedConfig('mute'))
    const signal = AbortSignal.timeout(100)

    const initialize = link.request({ method: 'initialize', params: {}, signal })

    await expect(initialize).rejects.toMatchObject({ kind: { code: 'tools/cancelled' } })
    await link.close()
    expect(stage.supervisor.running()).toEqual([])
  })

  test('closing the supervisor ends everything, starts under way included, and starts no more', async () => {
    const stage = createStage({ patience: HASTE })
    await stage.open(scriptedConfig(), 'a')
    const underWay = stage.open(scriptedConfig(), 'b')

    await Promise.all([stage.supervisor.close(), expect(underWay).rejects.toThrow('the gateway is stopping')])

    expect(stage.supervisor.running()).toEqual([])
    await expect(stage.open()).rejects.toThrow('the gateway is stopping')
  })

  test('300 calls at once on four processes, twice, leave no zombie, file or process behind', async () => {
    const program = join(import.meta.dirname, 'testing/storm.ts')

    const { stdout } = await promisify(execFile)(process.execPath, [program])

    const report: unknown = JSON.parse(stdout)
    const storm = { right: 300, running: 4, children: 5 } // the four and the guard
    expect(report).toEqual({ storms: [storm, storm], leaked: { files: 0, children: 0, handles: 0 } })
  })

  test('200 requests that share one signal leave no listener on it', async () => {
    await using stage = createStage()
    const link = await stage.open()
    const abort = new AbortController()

    await Promise.all(Array.from({ length: 200 }, () => callTool(link, 'echo', {}, abort.signal)))
    const before = stage.log.lines.length
    abort.abort()
    await callTool(link, 'echo')

    expect(stage.log.lines).toHaveLength(before)
    expect(stage.messages).toEqual([])
  })
})

function pidsIn(result: { readonly [key: string]: unknown }): number[] {
  return Array.isArray(result['pids']) ? result['pids'].map(Number) : []
}
