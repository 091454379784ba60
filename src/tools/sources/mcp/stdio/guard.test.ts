import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, test } from 'vitest'
import { systemClock } from '#kernel'
import { createGuard } from './guard.ts'
import { collectLog, eventually } from './testing/open-scripted.ts'
import { guardsOf, isAlive } from './testing/processes.ts'

const PARENT = join(import.meta.dirname, 'testing/gateway-like.ts')
const DEAF = "trap '' HUP TERM; while :; do sleep 1; done"

describe.runIf(process.platform === 'linux')('the guard', () => {
  test.for([{ how: 'SIGKILL' }, { how: 'SIGTERM' }] as const)(
    'leaves nothing alive after $how of the gateway',
    async ({ how }) => {
      const { parent, pids } = await startParent()
      expect(pids).toHaveLength(6)
      expect(pids.filter(isAlive)).toEqual(pids)

      parent.kill(how)

      await eventually(() => !pids.some(isAlive))
    },
  )

  test('leaves nothing alive after the gateway exits without closing', async () => {
    const { pids } = await startParent('leave')

    await eventually(() => !pids.some(isAlive))
  })

  test('runs once, from the first need until it is let go', async () => {
    const guard = createGuard({ log: collectLog(), clock: systemClock, marker: 'once' })
    expect(guardsOf('once')).toEqual([])
    guard.arm()
    guard.arm()
    await eventually(() => guardsOf('once').length === 1)

    await guard.close()

    expect(guardsOf('once')).toEqual([])
  })

  test('is replaced when it is killed, and the new one knows the groups', async () => {
    const clock = { ms: 0, now: () => clock.ms }
    const log = collectLog()
    const guard = createGuard({ log, clock, marker: 'again' })
    const child = startDeaf()
    guard.arm()
    guard.watch(child.pid ?? 0)
    await eventually(() => guardsOf('again').length === 1)

    clock.ms += 60_000
    const [first = 0] = guardsOf('again')
    process.kill(first, 'SIGKILL')
    await eventually(() => guardsOf('again').some((pid) => pid !== first))
    await Promise.all([guard.close(), once(child, 'exit')])

    expect(log.lines).toMatchObject([{ level: 'warn', reason: 'exit code null, signal SIGKILL' }])
  })

  test('kills groups it was told of, not those that ended', async () => {
    const guard = createGuard({ log: collectLog(), clock: systemClock, marker: 'told' })
    const [kept, forgotten] = [startDeaf(), startDeaf()]
    guard.arm()
    for (const child of [kept, forgotten]) guard.watch(child.pid ?? 0)
    guard.forget(forgotten.pid ?? 0)

    await Promise.all([guard.close(), once(kept, 'exit')])

    expect(isAlive(forgotten.pid ?? 0)).toBe(true)
    process.kill(-(forgotten.pid ?? 0), 'SIGKILL')
    await once(forgotten, 'exit')
  })

  test('its program is a valid POSIX shell script', () => {
    execFileSync('/bin/sh', ['-n', join(import.meta.dirname, 'guard.sh')])
  })
})

function startDeaf(): ChildProcess {
  return spawn('/bin/sh', ['-c', DEAF], { detached: true, stdio: 'ignore' })
}

async function startParent(mode = 'stay'): Promise<{ parent: ChildProcess; pids: number[] }> {
  const parent = spawn(process.execPath, [PARENT, mode], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(createInterface({ input: parent.stdout }), 'line')
  const pids: unknown = JSON.parse(String(line))
  return { parent, pids: Array.isArray(pids) ? pids.map(Number) : [] }
}
