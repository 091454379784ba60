import { afterEach, expect, onTestFinished, test } from 'vitest'
import { createTestPlace } from '../../src/storage/testing.ts'
import { stdioCommand } from '../fakes/stdio-programs.ts'
import { startHouse, type TestHouse } from './start-house.ts'

/** What a start waits for, and what it says. */

let house: TestHouse
afterEach(() => house.close())

const toml = (command: readonly string[], startTimeoutMs: number) => `
[[servers]]
name = "program"
transport = "stdio"
command = ${JSON.stringify(command)}
start_timeout_ms = ${startTimeoutMs}

[[gateways]]
slug = "demo"
tools = ["program/*"]
`

test('a program that is fetched at its first start has its whole start_timeout_ms for that', async () => {
  house = await startHouse({
    toml: toml(stdioCommand('slow', '--start-ms=1500'), 20_000),
    timing: { listTimeoutMs: 1_000 },
  })

  await house.listed()

  expect(house.gatehouse.house.server('program')?.health()).toMatchObject({ state: 'healthy' })
})

test('a program that hangs at its start is called unreachable when its time is over, not later', async () => {
  house = await startHouse({ toml: toml(stdioCommand('hang', '--stubborn'), 1_000), timing: { listTimeoutMs: 200 } })
  const startedAt = performance.now()

  await house.listed()

  expect(performance.now() - startedAt).toBeLessThan(5_000)
  expect(house.gatehouse.house.server('program')?.health()).toMatchObject({ state: 'unreachable' })
})

test('the first start says in one line that the database is new, and the second nothing of it', async () => {
  const place = await createTestPlace(process.env['GATEHOUSE_TEST_ENGINE'] === 'postgres' ? 'postgres' : 'sqlite')
  onTestFinished(() => place.remove())
  const first = await startHouse({ toml: '', storageUrl: place.url })
  await first.close()
  house = await startHouse({ toml: '', storageUrl: place.url })

  const of = ({ logs }: TestHouse, level: string) =>
    logs.filter((line) => /migration/.test(line) && line.includes(`"level":"${level}"`))

  expect(of(first, 'info')).toHaveLength(1)
  expect(of(first, 'info')[0]).toContain(`"migrations":${of(first, 'debug').length}`)
  expect(of(first, 'debug').length).toBeGreaterThan(20)
  expect([...of(house, 'info'), ...of(house, 'debug')]).toEqual([])
})
