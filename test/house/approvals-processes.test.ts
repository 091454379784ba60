import { describe, expect, onTestFinished, test } from 'vitest'
import * as z from 'zod'
import type { JsonObject } from '#kernel'
import { createTestPlace, forEachEngine, postgresIsAvailable } from '../../src/storage/testing.ts'
import { startSideEffectServer, type SideEffectServer } from '../fakes/side-effect-server.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { startHouseProcess, type HouseProcess } from './start-house-process.ts'
import { ask, callTool, eventually, gatewayUrl, textOf, type Line } from './talk.ts'

/** Approvals where a house dies by `kill -9`, and where two processes are one house. */

const ALICE = 'alice@example.com'
const TASKS = { extensions: { 'io.modelcontextprotocol/tasks': {} } }

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

async function askApi(house: Reached, path: string, body?: object) {
  const headers = { authorization: `Bearer ${house.adminToken}`, 'content-type': 'application/json' }
  const init = body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) }
  const response = await fetch(`${house.url}/api/v1/${path}`, init)
  return { status: response.status, text: await response.text() }
}

const oneReply = z.object({ id: z.string(), state: z.string(), answeredVia: z.string().nullable() }).loose()

async function approvalsOf(house: Reached) {
  const { text } = await askApi(house, 'approvals')
  return z.object({ approvals: z.array(oneReply) }).parse(JSON.parse(text)).approvals
}

const answer = (house: Reached, id: string, said: 'approve' | 'deny') =>
  askApi(house, `approvals/${id}/answer`, { answer: said })

/** The story of one approval. */
async function tellsOf({ gatehouse }: TestHouse, id: string): Promise<string[]> {
  const { records } = await gatehouse.audit.search({})
  const own = records.filter(({ what, extra }) => what.startsWith('approval.') && extra?.['approval'] === id)
  return own.map(({ what, decision }) => `${what} ${decision}`).toReversed()
}

function problemOf({ result }: { result: object }): unknown {
  const problem = z.object({ _meta: z.object({ 'io.gatehouse/problem': z.object({ code: z.string() }).loose() }) })
  return problem.safeParse(result).data?._meta['io.gatehouse/problem'].code
}

const reach = (house: Reached, key: string, capabilities: JsonObject = {}): Line => {
  return { url: gatewayUrl(house, 'demo'), key, capabilities }
}

forEachEngine((engine) => {
  test('killed before the answer, before the call and within it: one answer counts, and each call runs at most once', async () => {
    await using effects = await startSideEffectServer()
    await using place = await createTestPlace(engine)
    const options = { toml: tomlOf(effects.url), dataDir: place.dataDir, storageUrl: place.url }

    const asked = await startHouseProcess(options)
    onTestFinished(() => asked.kill())
    const made = await askApi(asked, 'keys', { userId: ALICE, gateways: ['demo'] })
    const { key } = z.object({ key: z.string() }).parse(JSON.parse(made.text))
    const pause = await callTool(reach(asked, key), 'charge', { order: 'o1' })
    await asked.kill()

    const answered = await startHouseProcess(options)
    onTestFinished(() => answered.kill())
    const [waiting] = await approvalsOf(answered)
    const id = waiting?.id ?? ''
    const answers = [await answer(answered, id, 'approve'), await answer(answered, id, 'deny')]
    const interrupted = await beInterrupted(answered, { key, effects })
    await answered.kill()
    await interrupted.call
    effects.setLatency(0)

    await using house = await startHouse(options)
    await house.listed()
    const line = reach(house, key)
    const states = (await approvalsOf(house)).map(({ state }) => state)
    answers.push(await answer(house, id, 'deny'))
    const changed = await callTool(line, 'charge', { order: 'o2' })
    const ran = await callTool(line, 'charge', { order: 'o1' })
    const again = await Promise.all(['o1', 'plain'].map((order) => callTool(line, 'charge', { order })))
    const lost = await eventually(
      async () => (await ask(reach(house, key, TASKS), 'tasks/get', interrupted.task)).result,
      ({ status }) => status !== 'working',
      30_000,
    )

    expect([pause, changed, ...again].map(problemOf)).toEqual(Array.from({ length: 4 }, () => 'approvals/pending'))
    expect(answers.map(({ status }) => status)).toEqual([200, 409, 409])
    expect(states).toEqual(['used', 'used', 'approved'])
    expect(textOf(ran)).toBe('charged o1, time 1')
    expect(lost).toMatchObject({ status: 'failed', error: { data: { code: 'tools/outcome-unknown' } } })
    expect(['o1', 'o2', 'plain', 'held'].map((order) => effects.timesRun('charge', order))).toEqual([1, 0, 1, 1])
    expect(await tellsOf(house, id)).toEqual([
      'approval.requested allowed',
      'approval.approved allowed',
      'approval.denied failed',
      'approval.denied failed',
      'approval.used allowed',
    ])
  })
})

/** Two approved calls that hang in their server: one made by its caller, one by whoever looks after its task. */
async function beInterrupted(house: Reached, { key, effects }: { key: string; effects: SideEffectServer }) {
  const tasks = reach(house, key, TASKS)
  await callTool(reach(house, key), 'charge', { order: 'plain' })
  const { result } = await callTool(tasks, 'charge', { order: 'held' })
  const waiting = (await approvalsOf(house)).filter(({ state }) => state === 'pending')
  for (const { id } of waiting) await answer(house, id, 'approve')
  effects.setLatency(60_000)
  const task = { taskId: z.string().parse(result['taskId']) }
  const call = callTool(reach(house, key), 'charge', { order: 'plain' }).catch(() => null)
  await ask(tasks, 'tasks/get', task)
  for (const order of ['plain', 'held']) await effects.executions.until((one) => one.order === order)
  return { call, task }
}

describe.skipIf(!postgresIsAvailable())('two processes on one database', () => {
  test('of many answers at once one wins, the others are told, and what it says holds at both; time is told at both', async () => {
    const effects = await startSideEffectServer()
    onTestFinished(() => effects.close())
    const place = await createTestPlace('postgres')
    onTestFinished(() => place.remove())
    const toml = tomlOf(effects.url)
    const house = await startHouse({ toml, storageUrl: place.url })
    onTestFinished(() => house.close())
    await house.listed()
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
      return Promise.all([answer(house, id, 'approve'), answer(second, id, said), answer(second, id, 'approve')])
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
    const tooLate = await answer(second, late?.id ?? '', 'approve')
    const alsoHere = await answer(house, late?.id ?? '', 'approve')
    expect([tooLate.status, alsoHere.status]).toEqual([409, 409])
    expect(tooLate.text).toContain('expired already')
    expect(effects.timesRun('charge', 'late')).toBe(0)
  })
})
