import { describe, expect, onTestFinished, test } from 'vitest'
import * as z from 'zod'
import { createTestPlace, postgresIsAvailable } from '../../src/storage/testing.ts'
import { startSideEffectServer } from '../fakes/side-effect-server.ts'
import { openHouse, answerApproval, askAdmin } from './kit.ts'
import { startHouseProcess, type HouseProcess } from './start-house-process.ts'
import { callTool, gatewayUrl, type Line } from './talk.ts'

/** Approvals where two processes are one house. */

const ALICE = 'alice@example.com'

const tomlOf = (url: string): string => `
  [approvals]
  wait_ms = 0
  expires_ms = 60_000

  [[servers]]
  name = "effects"
  transport = "http"
  url = "${url}"

  [[gateways]]
  slug = "demo"
  tools = ["effects/*"]
  approve = ["destructive"]
`

type Reached = Pick<HouseProcess, 'url' | 'adminToken'>

const oneReply = z.object({ id: z.string(), state: z.string() })

async function approvalsOf(house: Reached) {
  const { body } = await askAdmin(house, '/api/v1/approvals')
  return z.object({ approvals: z.array(oneReply) }).parse(body).approvals
}

const reach = (house: Reached, key: string): Line => ({ url: gatewayUrl(house, 'demo'), key })

describe.skipIf(!postgresIsAvailable())('two processes on one database', () => {
  test('of many answers at once one wins, the others are told, and what it says holds at both; time is told at both', async () => {
    const effects = await startSideEffectServer()
    onTestFinished(() => effects.close())
    const place = await createTestPlace('postgres')
    onTestFinished(() => place.remove())
    const toml = tomlOf(effects.url)
    const house = await openHouse({ toml, storageUrl: place.url })
    const second = await startHouseProcess({ toml, storageUrl: place.url, dataDir: place.dataDir })
    onTestFinished(() => second.stop())
    const key = await house.createKey({ user: ALICE, gateway: 'demo' })
    const lines = [house, second].map((at) => reach(at, key))
    const call = (at: 0 | 1, order: string) => callTool(lines[at] ?? { url: '' }, 'charge', { order })
    const orders = Array.from({ length: 10 }, (_, nth) => `o${nth}`)
    for (const order of orders) await call(0, order)
    const ids = (await approvalsOf(second)).map(({ id }) => id).toReversed()

    const rounds = ids.map(async (id, nth) => {
      const said = nth % 2 === 0 ? 'deny' : 'approve'
      return Promise.all([
        answerApproval(house, id, 'approve'),
        answerApproval(second, id, said),
        answerApproval(second, id, 'approve'),
      ])
    })
    const answers = await Promise.all(rounds)
    const states = (await approvalsOf(house)).map(({ state }) => state).toReversed()
    const calls = orders.map((order) => Promise.all([call(0, order), call(1, order), call(1, order)]))
    const made = (await Promise.all(calls)).map((three) => three.filter(({ result }) => result['isError'] !== true))

    const won = answers.map((three) => three.filter(({ status }) => status === 200))
    expect(won.map(({ length }) => length)).toEqual(orders.map(() => 1))
    expect(answers.flat().filter(({ status }) => status !== 200 && status !== 409)).toEqual([])
    expect(states).toEqual(won.map(([winner]) => oneReply.parse(JSON.parse(winner?.text ?? '')).state))
    expect(made.map(({ length }) => length)).toEqual(states.map((state) => (state === 'approved' ? 1 : 0)))

    await call(0, 'late')
    const late = (await approvalsOf(house)).find(({ state }) => state === 'pending')
    await second.skip(61_000)
    const tooLate = await answerApproval(second, late?.id ?? '', 'approve')
    const alsoHere = await answerApproval(house, late?.id ?? '', 'approve')
    expect([tooLate.status, alsoHere.status]).toEqual([409, 409])
    expect(tooLate.text).toContain('expired already')
    expect(effects.timesRun('charge', 'late')).toBe(0)
  })
})
