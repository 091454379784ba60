import { expect, test } from 'vitest'
import * as z from 'zod'
import { createTestPlace, forEachEngine } from '../../src/storage/testing.ts'
import { startSideEffectServer } from '../fakes/side-effect-server.ts'
import { answerApproval, askAdmin } from './kit.ts'
import { startHouse } from './start-house.ts'
import { startHouseProcess, type HouseProcess } from './start-house-process.ts'
import { callTool, textOf, type Heard } from './talk.ts'

/** A house that is killed while calls wait for a person, have just been approved, or are being made. */

const tomlFor = (url: string): string => `
  [approvals]
  wait_ms = 0

  [[servers]]
  name = "effects"
  transport = "http"
  url = "${url}"

  [[gateways]]
  slug = "demo"
  tools = ["effects/*"]
  approve = ["destructive"]
`

const problemOf = z.object({ _meta: z.object({ 'io.gatehouse/problem': z.object({ approval: z.string() }) }) })

/** The approval that a call waits for. */
function waitsFor({ result }: Heard): string {
  return problemOf.parse(result)._meta['io.gatehouse/problem'].approval
}

const answer = async (house: HouseProcess, id: string, said: 'approve' | 'deny') =>
  (await answerApproval(house, id, said)).status

async function storyOf(house: HouseProcess, id: string): Promise<string[]> {
  const { body } = await askAdmin(house, '/api/v1/audit?limit=500')
  const record = z.object({
    what: z.string(),
    decision: z.string(),
    extra: z.object({ approval: z.string().optional() }).nullish(),
  })
  const { records } = z.object({ records: z.array(record) }).parse(body)
  const own = records.filter(({ what, extra }) => what.startsWith('approval.') && extra?.approval === id)
  return own.map(({ what, decision }) => `${what} ${decision}`).toReversed()
}

forEachEngine((engine) => {
  test('kill -9: what waits goes on waiting, what was approved is made once, what was being made is not made again', async () => {
    await using effects = await startSideEffectServer()
    await using place = await createTestPlace(engine)
    const toml = tomlFor(effects.url)
    const before = await startHouse({ toml, dataDir: place.dataDir, storageUrl: place.url })
    const key = await before.createKey({ user: 'alice@example.com', gateway: 'demo' })
    await before.close()
    const start = () => startHouseProcess({ toml, dataDir: place.dataDir, storageUrl: place.url })
    const charge = (house: HouseProcess, order: string) =>
      callTool({ url: `${house.url}/mcp/demo`, key }, 'charge', { order })

    const killed = await start()
    const waiting = waitsFor(await charge(killed, 'waiting'))
    const approved = waitsFor(await charge(killed, 'approved'))
    const underWay = waitsFor(await charge(killed, 'under-way'))
    expect([await answer(killed, approved, 'approve'), await answer(killed, underWay, 'approve')]).toEqual([200, 200])
    effects.setLatency(60_000)
    const cut = charge(killed, 'under-way').catch(() => null)
    await effects.executions.until(({ order }) => order === 'under-way')
    await killed.kill()
    expect(await cut).toBeNull()

    effects.setLatency(0)
    const house = await start()
    const still = waitsFor(await charge(house, 'waiting'))
    const other = waitsFor(await charge(house, 'something else'))
    const [first, second] = [await answer(house, waiting, 'approve'), await answer(house, waiting, 'deny')]
    const made = [await charge(house, 'waiting'), await charge(house, 'approved')]
    const again = [await charge(house, 'waiting'), await charge(house, 'approved'), await charge(house, 'under-way')]

    expect([still, first, second]).toEqual([waiting, 200, 409])
    expect(made.map(textOf)).toEqual(['charged waiting, time 1', 'charged approved, time 1'])
    expect(new Set([...again.map(waitsFor), waiting, approved, underWay, other]).size).toBe(7)
    expect(effects.executions.total).toBe(3)
    expect(await storyOf(house, waiting)).toEqual([
      'approval.requested allowed',
      'approval.approved allowed',
      'approval.denied failed',
      'approval.used allowed',
    ])
    expect(await storyOf(house, underWay)).toEqual([
      'approval.requested allowed',
      'approval.approved allowed',
      'approval.used allowed',
    ])
    await house.stop()
  })
})
