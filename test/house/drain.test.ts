import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { startSideEffectServer } from '../fakes/side-effect-server.ts'
import { lineOf } from './kit.ts'
import { startHouse } from './start-house.ts'
import { callTool, eventually, listen, openSession, textOf, type Line } from './talk.ts'

async function start(latencyMs: number) {
  const server = await startSideEffectServer({ latencyMs })
  onTestFinished(() => server[Symbol.asyncDispose]())
  const dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-drain-'))
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
  const options = {
    dataDir,
    toml: `
      [[servers]]
      name = "slow"
      transport = "http"
      url = "${server.url}"

      [[gateways]]
      slug = "demo"
      tools = ["slow/*"]
    `,
  }
  const house = await startHouse(options)
  const reopen = async () => {
    const again = await startHouse(options)
    onTestFinished(() => again.close())
    return again
  }
  let isClosed = false
  const close = async () => {
    if (!isClosed) await house.close()
    isClosed = true
  }
  onTestFinished(close)
  await house.listed()
  const line: Line = await lineOf(house, 'alice')
  const busy = () =>
    eventually(
      () => server.executions.entries.length,
      (count) => count === 2,
    )
  return { house, line, busy, close, reopen }
}

test('calls that run when the house is told to stop end well, in both eras and with a stream open', async () => {
  const { house, line, busy, close } = await start(700)
  const listening = await listen(line, { toolsListChanged: true })
  const session = await openSession(line)
  const calls = Promise.all([callTool(line, 'charge', { order: 'a' }), session.call('charge', { order: 'b' })])
  await busy()

  await house.gatehouse.drain(10_000)
  await close()

  expect((await calls).map(textOf)).toEqual(['charged a, time 1', 'charged b, time 1'])
  await listening.ended
  expect(listening.messages.at(-1)).toMatchObject({ result: { resultType: 'complete' } })
})

test('nobody new is let in meanwhile', async () => {
  const { house, line, busy } = await start(700)
  const calls = Promise.all([callTool(line, 'charge', { order: 'a' }), callTool(line, 'charge', { order: 'b' })])
  await busy()

  const drained = house.gatehouse.drain(10_000)

  await expect(fetch(`${house.url}/livez`)).rejects.toThrow('fetch failed')
  await drained
  await calls
})

test('a call that takes too long is told why it ended, and so is the audit', async () => {
  const { house, line, busy, close, reopen } = await start(60_000)
  const session = await openSession(line)
  const calls = Promise.all([callTool(line, 'charge', { order: 'a' }), session.call('charge', { order: 'b' })])
  await busy()

  await house.gatehouse.drain(100)
  await close()
  const again = await reopen()
  const { records } = await again.gatehouse.audit.search({ decision: 'cancelled' })

  for (const { error } of await calls) expect(error?.message).toContain('The gateway stopped before this ended')
  expect(records.map(({ reason }) => reason?.slice(0, 38))).toEqual([
    'The gateway stopped before this ended.',
    'The gateway stopped before this ended.',
  ])
})
