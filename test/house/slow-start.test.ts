import { afterEach, expect, test } from 'vitest'
import { stdioCommand } from '../fakes/stdio-programs.ts'
import { startHouse, type TestHouse } from './start-house.ts'

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
